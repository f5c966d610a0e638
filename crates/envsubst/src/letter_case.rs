//! Letter case one character to one character, as Go has it: `ß` has no upper case, `İ` becomes `i`.

/// The upper case of a character if that is one character, else the character.
pub(crate) fn upper(character: char) -> char {
    // Greek letters with iota below: their upper case is two characters, but there is a single title case one.
    match character {
        '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => {
            char::from_u32(character as u32 + 8).unwrap_or(character)
        }
        '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => char::from_u32(character as u32 + 9).unwrap_or(character),
        _ => only(character.to_uppercase()).unwrap_or(character),
    }
}

/// The lower case of a character if that is one character, else the character.
pub(crate) fn lower(character: char) -> char {
    if character == 'İ' {
        return 'i';
    }
    only(character.to_lowercase()).unwrap_or(character)
}

fn only(mut characters: impl Iterator<Item = char>) -> Option<char> {
    let first = characters.next();
    if characters.next().is_some() { None } else { first }
}
