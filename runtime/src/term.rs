//! For how long this process may write: while it is sure that nobody else leads.
//!
//! A leader that hangs, or whose machine sleeps, does not know that another one has taken over in the meantime. What it was
//! about to write when it stopped, it would write as soon as it goes on. So each request asks here first.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::{Method, Request};

/// The term of this process. There is one, as the leadership is: whoever made a client, it writes in the name of the process.
pub(crate) static TERM: LazyLock<Term> = LazyLock::new(Term::unlimited);

/// The end of a term, by our own clock.
pub(crate) struct Term {
    begin: Instant,
    /// Milliseconds after `begin`.
    end: AtomicU64,
}

impl Term {
    /// Of a process that has no lease: either it needs none, or it does only what every replica does.
    fn unlimited() -> Self {
        Self { begin: Instant::now(), end: AtomicU64::new(u64::MAX) }
    }

    /// The lease was renewed, at `at` or later, and cannot be another's for `valid` after that.
    pub(crate) fn renewed(&self, at: Instant, valid: Duration) {
        let end = (at + valid).saturating_duration_since(self.begin).as_millis();
        self.end.store(u64::try_from(end).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The lease is lost, or about to be given back.
    pub(crate) fn end(&self) {
        self.end.store(0, Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        let now = u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        now >= self.end.load(Ordering::Relaxed)
    }

    /// Refuses what would change something after the end. Leases are how a term begins, and events only tell.
    pub(crate) fn check<B>(&self, request: &Request<B>) -> Result<(), Over> {
        let path = request.uri().path();
        let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
        let free = path.starts_with("/apis/coordination.k8s.io/")
            || path.starts_with("/apis/events.k8s.io/")
            || (path.starts_with("/api/v1/") && path.ends_with("/events"));
        if changes && !free && self.is_over() { Err(Over) } else { Ok(()) }
    }
}

/// Another replica may lead by now.
#[derive(Debug, thiserror::Error)]
#[error("this replica leads no longer: the request was not made")]
pub(crate) struct Over;

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(term: &Term, method: Method, path: &str) -> bool {
        term.check(&Request::builder().method(method).uri(path).body(()).unwrap()).is_ok()
    }

    #[test]
    fn nothing_is_changed_after_the_end_of_a_term() {
        const MAP: &str = "/api/v1/namespaces/a/configmaps/b";
        let term = Term::unlimited();
        assert!(allows(&term, Method::PATCH, MAP), "without a lease there is no end");
        term.renewed(Instant::now(), Duration::from_mins(1));
        assert!(allows(&term, Method::PATCH, MAP));
        term.renewed(Instant::now(), Duration::ZERO);
        for method in [Method::PATCH, Method::PUT, Method::POST, Method::DELETE] {
            assert!(!allows(&term, method.clone(), MAP), "{method}");
        }
        assert!(allows(&term, Method::GET, MAP));
        assert!(allows(&term, Method::PUT, "/apis/coordination.k8s.io/v1/namespaces/a/leases/b"));
        assert!(allows(&term, Method::POST, "/api/v1/namespaces/a/events"));
        term.renewed(Instant::now(), Duration::from_mins(1));
        assert!(allows(&term, Method::PATCH, MAP));
        term.end();
        assert!(!allows(&term, Method::PATCH, MAP));
    }
}
