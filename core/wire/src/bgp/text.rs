//! Words of a peer's operator, for those of this side's to read.

use alloc::string::String;

/// The text of `octets`, with a space for each character that a terminal would obey rather than
/// show, and a replacement for what is no UTF-8.
pub(super) fn harmless(octets: &[u8]) -> String {
    let replaced = |character| if is_obeyed(character) { ' ' } else { character };
    String::from_utf8_lossy(octets).chars().map(replaced).collect()
}

/// Whether a character moves the cursor, hides, or turns around what follows.
fn is_obeyed(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_a_space() {
        let text = "a\u{1b}[2Jb\nc\u{202e}d\u{85}e\u{feff}f\u{200d}g".as_bytes();
        assert_eq!(harmless(text), "a [2Jb c d e f g");
        assert_eq!(harmless("Wartung: 2 Stunden \u{2014} ok".as_bytes()), "Wartung: 2 Stunden \u{2014} ok");
        assert_eq!(harmless(&[b'a', 0xff, b'b']), "a\u{fffd}b");
        assert_eq!(harmless("a\u{61c}b\u{e0041}c\u{ad}d\u{fff9}e".as_bytes()), "a b c d e");
    }
}
