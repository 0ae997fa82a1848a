//! Prints the custom resource definitions, for `cargo xtask codegen`.
#![expect(clippy::print_stdout, reason = "printing is all it does")]

fn main() {
    print!("{}", ferrolb_api::crds_yaml());
}
