//! Classes of characters as Go's `unicode` package has them.

/// Go's `IsLetter`. (The standard library counts some marks as letters too.)
pub(crate) fn is_letter(c: char) -> bool {
    c.is_alphabetic()
}

/// Go's `IsDigit`.
pub(crate) fn is_digit(c: char) -> bool {
    if c.is_ascii() {
        c.is_ascii_digit()
    } else {
        c.is_numeric() && !c.is_alphabetic() && !is_other_number(c)
    }
}

/// Go's `IsNumber`.
pub(crate) fn is_number(c: char) -> bool {
    c.is_numeric()
}

/// Superscripts, fractions, circled numbers: numbers that are no digits.
fn is_other_number(c: char) -> bool {
    matches!(c,
        '²' | '³' | '¹' | '¼'..='¾' | '\u{2070}'..='\u{218b}' | '\u{2460}'..='\u{249b}'
        | '\u{24ea}'..='\u{24ff}' | '\u{2776}'..='\u{2793}' | '\u{3192}'..='\u{3195}'
        | '\u{3220}'..='\u{3229}' | '\u{3248}'..='\u{324f}' | '\u{3251}'..='\u{325f}'
        | '\u{3280}'..='\u{3289}' | '\u{32b1}'..='\u{32bf}')
}

/// Go's `IsSpace`.
pub(crate) fn is_space(c: char) -> bool {
    c.is_whitespace()
}

/// Go's `IsUpper`.
pub(crate) fn is_upper(c: char) -> bool {
    c.is_uppercase()
}

/// Go's `IsLower`.
pub(crate) fn is_lower(c: char) -> bool {
    c.is_lowercase()
}

/// Go's `IsTitle`: digraphs whose first half is upper case.
pub(crate) fn is_title(c: char) -> bool {
    matches!(c, 'ǅ' | 'ǈ' | 'ǋ' | 'ǲ')
}

fn single(mut mapped: impl Iterator<Item = char>, c: char) -> char {
    match (mapped.next(), mapped.next()) {
        (Some(only), None) => only,
        // Go maps one character to one: ß has no upper case.
        _ => c,
    }
}

/// Go's `ToUpper` of one character.
pub(crate) fn to_upper(c: char) -> char {
    single(c.to_uppercase(), c)
}

/// Go's `ToLower` of one character.
pub(crate) fn to_lower(c: char) -> char {
    match c {
        'İ' => 'i',
        _ => single(c.to_lowercase(), c),
    }
}

/// Go's `ToTitle` of one character.
pub(crate) fn to_title(c: char) -> char {
    match c {
        'Ǆ'..='ǆ' => 'ǅ',
        'Ǉ'..='ǉ' => 'ǈ',
        'Ǌ'..='ǌ' => 'ǋ',
        'Ǳ'..='ǳ' => 'ǲ',
        _ => to_upper(c),
    }
}

/// Go's `IsPunct`, exact for ASCII and Latin-1 and the common blocks beyond.
pub(crate) fn is_punctuation(c: char) -> bool {
    match c {
        '$' | '+' | '<' | '=' | '>' | '^' | '`' | '|' | '~' => false,
        _ if c.is_ascii() => c.is_ascii_punctuation(),
        '¡' | '§' | '«' | '¶' | '·' | '»' | '¿' => true,
        '\u{2044}' | '\u{2052}' => false,
        '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205e}' => true,
        '\u{3001}'..='\u{3003}' | '\u{3008}'..='\u{3011}' | '\u{3014}'..='\u{301f}' => true,
        '\u{ff01}'..='\u{ff03}' | '\u{ff05}'..='\u{ff0a}' | '\u{ff0c}'..='\u{ff0f}' => true,
        '\u{ff1a}' | '\u{ff1b}' | '\u{ff1f}' | '\u{ff20}' => true,
        _ => false,
    }
}

/// Whether the letter is one that names are split by: not one of Han's.
pub(crate) fn has_case_script(c: char) -> bool {
    !matches!(u32::from(c), 0x3400..=0x4d85 | 0x4e00..=0x9fcc | 0x2_0000..=0x2_b81d)
}
