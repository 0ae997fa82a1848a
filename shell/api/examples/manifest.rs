//! Prints `deploy/ferrolb.yaml`: the parts of `deploy/base` in the order of their names, with the
//! CustomResourceDefinitions right after the first, the namespaces.
#![expect(clippy::print_stdout, reason = "the manifest is this program's output")]

use std::path::{Path, PathBuf};
use std::{fs, io};

fn main() -> io::Result<()> {
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/base");
    let mut parts =
        fs::read_dir(base)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<PathBuf>>>()?;
    parts.sort();
    for (index, part) in parts.iter().enumerate() {
        print!("{}", fs::read_to_string(part)?);
        if index == 0 {
            print!("{}", ferrolb_api::crds_yaml());
        }
    }
    Ok(())
}
