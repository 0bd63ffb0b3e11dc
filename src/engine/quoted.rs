//! What others wrote, as messages show it.

use core::fmt::{self, Write};

/// A text between quotation marks; what could not be seen, or would change how
/// the rest looks, is escaped. (`{:?}` does the same by tables of 3 KiB.)
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

/// One character of a [`Quoted`] text.
pub(crate) struct Escaped(pub(crate) char);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for char in self.0.chars() {
            Escaped(char).fmt(f)?;
        }
        f.write_char('"')
    }
}

impl fmt::Display for Escaped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = match self.0 {
            '"' | '\\' => self.0,
            '\0' => '0',
            '\t' => 't',
            '\n' => 'n',
            '\r' => 'r',
            // Blanks of no width, marks of direction, ends of lines, no characters.
            '\0'..=' '
            | '\u{7f}'..='\u{a0}'
            | '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{2000}'..='\u{200f}'
            | '\u{2028}'..='\u{202f}'
            | '\u{205f}'..='\u{206f}'
            | '\u{3000}'
            | '\u{feff}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
                if self.0 != ' ' =>
            {
                return write!(f, "\\u{{{:x}}}", u32::from(self.0));
            }
            char => return f.write_char(char),
        };
        f.write_char('\\')?;
        f.write_char(short)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_as_the_standard_library_quotes_them() {
        let text = "plain \"quoted\" \\ \0 \t \r \n \u{7} \u{7f} ä 漢 😀 a'b";
        assert_eq!(Quoted(text).to_string(), format!("{text:?}"));
        for char in [
            '\u{200b}',
            '\u{202e}',
            '\u{feff}',
            '\u{2028}',
            '\u{a0}',
            '\u{e0041}',
        ] {
            let text = char.to_string();
            assert_eq!(Quoted(&text).to_string(), format!("{text:?}"));
        }
    }
}
