//! The text of a pull request: a section of ours in a text that may have others, and words of people.

/// The text with the section of an owner: in the place of the one that it has, or at its end. Lines are left out, and
/// counted, where it would get longer than `longest` characters.
pub(crate) fn with_section(text: &str, owner: &str, head: &str, lines: &[String], longest: usize) -> String {
    let text = text.replace("\r\n", "\n");
    let (begin, end) = marks(owner);
    let (before, after) = match text.split_once(begin.as_str()) {
        Some((before, rest)) => (before, rest.split_once(end.as_str()).map_or("", |(_, after)| after)),
        None => (text.as_str(), ""),
    };
    let (before, after) = (before.trim_end(), after.trim());
    let mut kept = lines.len();
    loop {
        let mut section = head.to_owned();
        section.push_str("\n\n");
        lines[..kept].iter().for_each(|line| section.push_str(&format!("{line}\n")));
        if kept < lines.len() {
            section.push_str(&format!("- … and {} more\n", lines.len() - kept));
        }
        let parts = [before, begin.as_str(), section.trim_end(), end.as_str(), after];
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let whole = parts.join("\n\n");
        let length = whole.chars().count();
        if length <= longest || kept == 0 {
            return whole;
        }
        // Each line that goes takes at least two characters with it.
        kept -= ((length - longest) / 200).clamp(1, kept);
    }
}

/// Whether two texts are the same to a reader: hosts store line ends and blanks at the end as they like.
pub(crate) fn same(one: &str, other: &str) -> bool {
    let lines =
        |text: &str| -> Vec<String> { text.trim().lines().map(|line| line.trim_end().to_owned()).collect() };
    lines(one) == lines(other)
}

/// Link definitions that nothing refers to are shown nowhere, at no host.
fn marks(owner: &str) -> (String, String) {
    (format!("[//]: # (sluice {owner})"), format!("[//]: # (end of sluice {owner})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(count: usize) -> Vec<String> {
        (0..count).map(|number| format!("- change {number}")).collect()
    }

    #[test]
    fn a_section_is_replaced_and_the_rest_stays() {
        let first = with_section("", "apps/one", "Changes:", &lines(1), 1000);
        let both =
            with_section(&format!("Please look.\r\n\r\n{first}"), "apps/two", "More:", &lines(2), 1000);
        assert!(both.starts_with("Please look.\n\n[//]: # (sluice apps/one)\n\nChanges:"), "{both}");
        let again = with_section(&both, "apps/one", "Changes:", &lines(3), 1000);
        assert!(
            again.contains("- change 2\n\n[//]: # (end of sluice apps/one)\n\n[//]: # (sluice apps/two)"),
            "{again}"
        );
        assert!(same(&with_section(&again, "apps/one", "Changes:", &lines(3), 1000), &again));
        assert!(!same(&both, &again) && same("a \r\nb\r\n", "a\nb"));
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let text = with_section("", "a/b", "Changes:", &lines(1000), 500);
        assert!(text.chars().count() <= 500, "{}", text.len());
        let told: usize =
            text.split("… and ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok()).unwrap();
        assert_eq!(told + text.matches("- change").count(), 1000);
    }
}
