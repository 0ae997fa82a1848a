//! What becomes of UPDATEs, beside what another codec makes of them: RFC 7606.

use ferrolb_wire::bgp::{Decoding, Families, MESSAGE_MAX};

use crate::driver::Target;
use crate::inputs::{UPDATES, bodies, decoding};
use crate::oracles::compare;
use crate::round_trip;

#[test]
fn the_disposition_of_an_update_is_that_of_another_codec() {
    let of = |settings: u8| bodies(UPDATES).into_iter().map(move |body| [&[settings][..], &body].concat());
    let corpus = (0..4).flat_map(of).collect();
    let target = Target { name: "update_attrs", corpus, octets_max: MESSAGE_MAX, executions: 100_000 };
    target.run(|input| {
        let [settings, body @ ..] = input else { return "nothing".to_owned() };
        let decoding = Decoding { families: Families::ALL, ..decoding(*settings) };
        match compare(body, &decoding) {
            Ok(_outcome) => round_trip::update(body, &decoding),
            Err(differences) => format!("{differences:?}"),
        }
    });
}
