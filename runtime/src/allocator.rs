//! What the C library keeps of memory that was freed.

/// What glibc reads when a program starts, and only then: from which size on a block comes from the kernel and goes back
/// there when it is freed, and how much may stay unused at the end of the heap. Without them it raises the first to the
/// size of the largest block that was freed, 32 MiB at most; then the buffers of compressors, archives and answers leave
/// holes in the heaps of all threads, which is most of what a controller takes at its peak. One heap for two processors
/// is plenty: controllers wait for servers.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const SETTINGS: [(&str, &str); 3] =
    [("MALLOC_MMAP_THRESHOLD_", "131072"), ("MALLOC_TRIM_THRESHOLD_", "131072"), ("MALLOC_ARENA_MAX", "2")];

/// Starts this program again, in the same process, with settings for the allocator, unless it has some. Must be called
/// before there are threads. Where it cannot be done nothing happens: they only save memory.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) fn configure() {
    use std::os::unix::process::CommandExt as _;

    let is_given = |name: &str| std::env::var_os(name).is_some();
    if is_given("GLIBC_TUNABLES") || SETTINGS.iter().any(|(name, _)| is_given(name)) {
        return;
    }
    // By its path, since the process is called after that.
    let Ok(program) = std::env::current_exe() else { return };
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_else(|| program.clone().into());
    let mut command = std::process::Command::new(program);
    let error = command.arg0(name).args(arguments).envs(SETTINGS).exec();
    tracing::debug!(error = %error, "the allocator keeps its defaults");
}

/// Other allocators have other settings.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn configure() {}
