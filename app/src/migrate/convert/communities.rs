//! The text form of BGP communities (docs/reference/metallb-contract.md, "Community").

/// Says what is wrong with a community, if anything.
pub(super) fn check(text: &str) -> Result<(), String> {
    let parts: Vec<&str> = text.split(':').collect();
    let is_value = match parts.as_slice() {
        [high, low] => high.parse::<u16>().is_ok() && low.parse::<u16>().is_ok(),
        ["large", parts @ ..] => parts.len() == 3 && parts.iter().all(|part| part.parse::<u32>().is_ok()),
        [..] => false,
    };
    if is_value {
        return Ok(());
    }
    Err(format!(
        "{text:?} is not a community; write 64500:1 (both up to 65535) or large:64500:1:2 (all up to 4294967295)"
    ))
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn communities_are_two_small_or_three_large_numbers() {
        for text in ["0:0", "65535:65281", "large:4294967295:0:1"] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
        for text in ["", "1", "65536:1", "1:2:3", "1:2:3:4", "large:1:2", "large:4294967296:0:1", "a:b"] {
            assert!(check(text).is_err(), "{text}");
        }
    }
}
