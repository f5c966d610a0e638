//! Bounds on what a template may cost.

use std::cell::Cell;
use std::time::Duration;

/// Bounds on one [`Ctx`](crate::Ctx): all that it executes shares them.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Templates within templates, by `template`, `include` and `tpl` together.
    pub depth: u32,
    /// Bytes that one execution may print, and that one string may hold.
    pub output: usize,
    /// Actions, iterations and calls in all.
    pub steps: u64,
    /// Bytes that functions may make in all.
    pub allocation: u64,
    /// Time in all.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth: 100_000,
            output: 64 << 20,
            steps: 100_000_000,
            allocation: 4 << 30,
            time: Duration::from_mins(1),
        }
    }
}

/// Stack of a thread made by [`with_large_stack`]. Pages that are not touched cost nothing.
const LARGE_STACK: usize = if cfg!(debug_assertions) { 512 << 20 } else { 128 << 20 };
/// What is kept free of that for the function at the end of the chain.
const RESERVE: usize = 1 << 20;
/// What an execution uses of a stack of unknown size.
const UNKNOWN_STACK: usize = 1 << 20;

thread_local! {
    static FLOOR: Cell<usize> = const { Cell::new(0) };
}

/// Runs `work` on a thread whose stack lets templates nest as deeply as Go's do: this one, if it was made here and most of
/// its stack is free.
///
/// Elsewhere an execution stops at 1 MiB of stack with the error of [`Limits::depth`].
pub fn with_large_stack<R: Send>(work: impl FnOnce() -> R + Send) -> std::io::Result<R> {
    let floor = FLOOR.get();
    if floor != 0 && here().saturating_sub(floor) > LARGE_STACK / 4 * 3 {
        return Ok(work());
    }
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("template".into()).stack_size(LARGE_STACK);
        let thread = thread.spawn_scoped(scope, || {
            FLOOR.set(here().saturating_sub(LARGE_STACK - RESERVE));
            work()
        })?;
        match thread.join() {
            Ok(result) => Ok(result),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// The address below which the stack must not grow.
pub(crate) fn stack_floor() -> usize {
    match FLOOR.get() {
        0 => here().saturating_sub(UNKNOWN_STACK),
        floor => floor,
    }
}

/// Roughly where the stack is now.
#[inline]
pub(crate) fn here() -> usize {
    let local = 0_u8;
    std::ptr::from_ref(&local) as usize
}
