//! What an operator writes: communities, AS numbers and prefixes.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use ferrolb_vocab::{Asn, Community, IpPrefix, LargeCommunity};

use crate::driver::Target;

const TEXTS: [&str; 18] = [
    "64512:100",
    "65535:65281",
    "4294967295:0:7",
    "0:0",
    "00064512:0001",
    "65536:1",
    "-1:2",
    "+1:2",
    "1:2:3:4",
    "1 : 2",
    "1:",
    ":",
    "",
    "٣:٤",
    "4200000000",
    "192.0.2.0/24",
    "2001:db8::/32",
    "::ffff:192.0.2.1/128",
];

#[test]
fn any_text_is_refused_or_one_number_each() {
    let corpus = TEXTS.map(|text| text.as_bytes().to_vec()).into();
    let target = Target { name: "communities", corpus, octets_max: 100, executions: 200_000 };
    target.run(|input| {
        let text = String::from_utf8_lossy(input);
        let community = read::<Community>(&text);
        let expected = numbers::<2>(&text, u64::from(u16::MAX));
        assert_eq!(community.map(|community| u64::from(community.0)), expected.map(|[a, b]| a << 16 | b));
        let large = read::<LargeCommunity>(&text).map(|community| {
            let LargeCommunity { global_administrator, local_data_1, local_data_2 } = community;
            [global_administrator, local_data_1, local_data_2].map(u64::from)
        });
        assert_eq!(large, numbers::<3>(&text, u64::from(u32::MAX)));
        let asn = read::<Asn>(&text);
        assert_eq!(asn.map(|asn| [u64::from(asn.0)]), numbers::<1>(&text, u64::from(u32::MAX)));
        let prefix = read::<IpPrefix>(&text);
        if let Some(prefix) = prefix {
            assert!(prefix.length() <= prefix.family().bits() && prefix.contains(prefix.network()));
        }
        format!(
            "{} {} {} {:?}",
            community.is_some(),
            large.is_some(),
            asn.is_some(),
            prefix.map(IpPrefix::length)
        )
    });
}

/// The value of `text`, which is shown so that it reads back; or an error that shows the text.
fn read<T>(text: &str) -> Option<T>
where
    T: FromStr<Err: Display> + Display + Debug + PartialEq,
{
    match text.parse::<T>() {
        Ok(value) => {
            assert_eq!(value.to_string().parse::<T>().ok().as_ref(), Some(&value));
            Some(value)
        }
        Err(error) => {
            assert!(
                error.to_string().contains("expected") || error.to_string().contains("not an IP address")
            );
            None
        }
    }
}

/// The numbers of a text of `N` decimal numbers with colons between them, each `most` at most.
fn numbers<const N: usize>(text: &str, most: u64) -> Option<[u64; N]> {
    let number = |digits: &str| {
        if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let append = |number: u64, digit: u8| number.checked_mul(10)?.checked_add(u64::from(digit - b'0'));
        digits.bytes().try_fold(0, append).filter(|number| *number <= most)
    };
    text.split(':').map(number).collect::<Option<Vec<_>>>()?.try_into().ok()
}
