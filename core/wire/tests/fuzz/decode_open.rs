//! Bodies of OPENs, whose lengths nest four deep.

use ferrolb_wire::bgp::MESSAGE_MAX;

use crate::driver::Target;
use crate::inputs::{OPENS, bodies};
use crate::round_trip;

#[test]
fn any_open_is_refused_or_read_and_said_again() {
    let corpus = bodies(OPENS);
    let target = Target { name: "decode_open", corpus, octets_max: MESSAGE_MAX, executions: 200_000 };
    target.run(round_trip::open);
}
