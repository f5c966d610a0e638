//! Reading small XML documents: texts by the path of their element.

use quick_xml::Reader;
use quick_xml::events::Event;

/// Deeper documents are none of ours.
const MAX_DEPTH: usize = 16;

/// Calls `visit` with the path of each element (names joined by `/`) and its text, at its end. Namespaces and
/// attributes do not matter.
pub fn texts(document: &[u8], mut visit: impl FnMut(&str, String)) -> Result<(), String> {
    let mut reader = Reader::from_reader(document);
    let mut path = String::new();
    let mut text = String::new();
    loop {
        match reader.read_event().map_err(|error| format!("invalid XML: {error}"))? {
            Event::Start(start) => {
                if path.matches('/').count() >= MAX_DEPTH {
                    return Err("invalid XML: nested too deep".to_owned());
                }
                if !path.is_empty() {
                    path.push('/');
                }
                path.push_str(&String::from_utf8_lossy(start.local_name().as_ref()));
                text.clear();
            }
            Event::Empty(empty) => {
                let name = String::from_utf8_lossy(empty.local_name().as_ref()).into_owned();
                visit(&format!("{path}/{name}"), String::new());
            }
            Event::Text(part) => text.push_str(&part.decode().map_err(|error| error.to_string())?),
            Event::CData(part) => text.push_str(&part.decode().map_err(|error| error.to_string())?),
            Event::GeneralRef(reference) => {
                if let Some(character) = reference.resolve_char_ref().map_err(|error| error.to_string())? {
                    text.push(character);
                } else {
                    let name = reference.decode().map_err(|error| error.to_string())?;
                    text.push_str(entity(&name).ok_or_else(|| format!("invalid XML: entity &{name};"))?);
                }
            }
            Event::End(_) => {
                visit(&path, std::mem::take(&mut text));
                path.truncate(path.rfind('/').unwrap_or(0));
            }
            Event::Eof if path.is_empty() => return Ok(()),
            Event::Eof => return Err("invalid XML: it ends in the middle".to_owned()),
            _ => {}
        }
    }
}

fn entity(name: &str) -> Option<&'static str> {
    Some(match name {
        "amp" => "&",
        "lt" => "<",
        "gt" => ">",
        "quot" => "\"",
        "apos" => "'",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(document: &str) -> Result<Vec<String>, String> {
        let mut seen = Vec::new();
        texts(document.as_bytes(), |path, text| seen.push(format!("{path}={text}"))).map(|()| seen)
    }

    #[test]
    fn texts_come_with_their_path_and_entities_resolved() {
        let document = "<?xml version=\"1.0\"?><L xmlns=\"urn:x\"><C><K>a&amp;b&#x2F;\u{e9}</K><E/></C></L>";
        assert_eq!(read(document).unwrap(), ["L/C/K=a&b/\u{e9}", "L/C/E=", "L/C=", "L="]);
    }

    #[test]
    fn broken_documents_and_unknown_entities_are_refused() {
        for bad in ["<a><b></a>", "<a>&xxe;</a>", "<a>", &"<a>".repeat(40)] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
