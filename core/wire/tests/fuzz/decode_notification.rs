//! Bodies of NOTIFICATIONs, with an operator's words and one within another.

use ferrolb_wire::bgp::MESSAGE_MAX;

use crate::driver::Target;
use crate::inputs::{NOTIFICATIONS, bodies};
use crate::round_trip;

#[test]
fn any_notification_is_shown_without_harm_and_said_again() {
    let corpus = bodies(NOTIFICATIONS);
    let target = Target { name: "decode_notification", corpus, octets_max: MESSAGE_MAX, executions: 200_000 };
    target.run(round_trip::notification);
}
