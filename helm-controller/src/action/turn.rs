//! Places for those that work at the same time.
//!
//! Who comes back from a wait goes before those that have not begun: what was begun is in memory until it is done, so of a
//! thousand releases only those are there that work and those whose objects are not ready.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// The places.
#[derive(Clone)]
pub(crate) struct Turns(Arc<Mutex<Queues>>);

struct Queues {
    free: usize,
    /// Those that come back, in the order in which they came.
    again: VecDeque<oneshot::Sender<Place>>,
    /// Those that have not begun.
    fresh: VecDeque<oneshot::Sender<Place>>,
}

impl Turns {
    /// As many places, at least one.
    pub(crate) fn new(count: usize) -> Self {
        let queues = Queues { free: count.max(1), again: VecDeque::new(), fresh: VecDeque::new() };
        Self(Arc::new(Mutex::new(queues)))
    }

    /// Waits for a place to begin.
    pub(crate) async fn take(&self) -> Turn {
        let place = self.place(|queues| &mut queues.fresh).await;
        Turn { turns: self.clone(), place: Some(place) }
    }

    async fn place(&self, queue: impl FnOnce(&mut Queues) -> &mut VecDeque<oneshot::Sender<Place>>) -> Place {
        let waiting = {
            let mut queues = self.lock();
            if queues.free > 0 {
                queues.free -= 1;
                None
            } else {
                let (sender, receiver) = oneshot::channel();
                queue(&mut queues).push_back(sender);
                Some(receiver)
            }
        };
        match waiting {
            None => Place(Some(self.clone())),
            // Nobody drops the other end, as this is a way to the queues.
            Some(receiver) => receiver.await.unwrap_or(Place(None)),
        }
    }

    /// Gives a place to the next.
    fn pass_on(self) {
        let mut place = Place(Some(self));
        while let Some(turns) = place.0.take() {
            let next = {
                let mut queues = turns.lock();
                let next = queues.again.pop_front().or_else(|| queues.fresh.pop_front());
                if next.is_none() {
                    queues.free += 1;
                }
                next
            };
            let Some(next) = next else { return };
            match next.send(Place(Some(turns))) {
                Ok(()) => return,
                // It has given up waiting.
                Err(back) => place = back,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place. It goes to the next when it is dropped.
struct Place(Option<Turns>);

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(turns) = self.0.take() {
            turns.pass_on();
        }
    }
}

/// The right to work, which is given up while waiting.
pub(crate) struct Turn {
    turns: Turns,
    place: Option<Place>,
}

impl Turn {
    /// Lets others work.
    pub(crate) fn give_up(&mut self) {
        self.place = None;
    }

    /// Waits for a place again, before those that have not begun.
    pub(crate) async fn take_again(&mut self) {
        if self.place.is_none() {
            self.place = Some(self.turns.place(|queues| &mut queues.again).await);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn who_comes_back_goes_before_those_that_have_not_begun() {
        let turns = Turns::new(1);
        let mut first = turns.take().now_or_never().unwrap();
        let mut second = Box::pin(turns.take());
        let mut third = Box::pin(turns.take());
        assert!(second.as_mut().now_or_never().is_none() && third.as_mut().now_or_never().is_none());
        first.give_up();
        let second = second.now_or_never().expect("the place of the first");
        let mut again = Box::pin(first.take_again());
        assert!(again.as_mut().now_or_never().is_none());
        drop(second);
        assert!(third.as_mut().now_or_never().is_none());
        again.now_or_never().expect("the place of the second");
        drop(first);
        third.now_or_never().expect("the place of the first, at last");
    }

    #[test]
    fn a_place_is_not_lost_with_one_that_gives_up_waiting() {
        let turns = Turns::new(1);
        let first = turns.take().now_or_never().unwrap();
        let mut before = Box::pin(turns.take());
        let mut after = Box::pin(turns.take());
        assert!(before.as_mut().now_or_never().is_none() && after.as_mut().now_or_never().is_none());
        drop(before);
        drop(first);
        // Given up when the place was on its way already.
        drop(after);
        assert!(turns.take().now_or_never().is_some());
    }
}
