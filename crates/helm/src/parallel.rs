//! When a second thread is worth its while.

use std::sync::OnceLock;

/// Bytes of text below which one thread is as quick as two.
const MUCH: usize = 64 << 10;

/// Whether there is so much text to go through that two threads share it, and a second one to do so.
pub(crate) fn is_worth_while(bytes: usize) -> bool {
    static MANY: OnceLock<bool> = OnceLock::new();
    bytes >= MUCH
        && *MANY.get_or_init(|| std::thread::available_parallelism().is_ok_and(|count| count.get() > 1))
}

/// What `work` makes of each text, in their order.
pub(crate) fn each<R: Send>(texts: &[&str], work: impl Fn(&str) -> R + Sync) -> Vec<R> {
    let size: usize = texts.iter().map(|text| text.len()).sum();
    let all = |texts: &[&str]| texts.iter().map(|text| work(text)).collect::<Vec<R>>();
    if !is_worth_while(size) {
        return all(texts);
    }
    let mut before = 0;
    let in_first_half = |text: &&&str| {
        before += text.len();
        before <= size / 2
    };
    let middle = texts.iter().take_while(in_first_half).count();
    let (first, second) = texts.split_at(middle);
    std::thread::scope(|scope| {
        let helper = std::thread::Builder::new().name("reader".into()).spawn_scoped(scope, || all(second));
        let mut done = all(first);
        match helper.map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(rest)) => done.extend(rest),
            // No thread could be had.
            Err(_) => done.extend(all(second)),
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
        }
        done
    })
}

#[cfg(test)]
mod tests {
    use super::each;

    #[test]
    fn results_keep_the_order_of_the_texts() {
        for (count, length) in [(0, 0), (3, 10), (7, 40_000), (1, 200_000), (100, 5_000)] {
            let texts: Vec<String> =
                (0..count).map(|index| index.to_string() + &"x".repeat(length)).collect();
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            assert_eq!(each(&texts, str::to_owned), texts, "{count} of {length}");
        }
    }
}
