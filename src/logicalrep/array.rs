//! Arrays as the server reads them: parameters, and constants in statements once they are quoted.

/// `{1,2,3}`
pub fn oid_array(oids: impl IntoIterator<Item = u32>) -> String {
    let list: Vec<String> = oids.into_iter().map(|oid| oid.to_string()).collect();
    format!("{{{}}}", list.join(","))
}

/// `{"a","b c"}`: quoted each, whatever is in them.
pub fn text_array(texts: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let list: Vec<String> = texts.into_iter().map(|text| quoted(text.as_ref())).collect();
    format!("{{{}}}", list.join(","))
}

/// The same, where an element may be no value.
pub fn nullable_text_array<'a>(texts: impl IntoIterator<Item = Option<&'a str>>) -> String {
    let list: Vec<String> = texts.into_iter().map(|text| text.map_or_else(|| "NULL".to_owned(), quoted)).collect();
    format!("{{{}}}", list.join(","))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_an_element_ends_it() {
        assert_eq!(
            text_array(["a", "b c", "", "NULL", "x\"y\\z", "{1,2}"]),
            r#"{"a","b c","","NULL","x\"y\\z","{1,2}"}"#
        );
        assert_eq!(nullable_text_array([Some("NULL"), None, Some("")]), r#"{"NULL",NULL,""}"#);
        assert_eq!(text_array([""; 0]), "{}");
        assert_eq!((oid_array([]), oid_array([1, 4_294_967_295])), ("{}".to_owned(), "{1,4294967295}".to_owned()));
    }
}
