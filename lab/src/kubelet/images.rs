//! Which local program runs for an image.
//!
//! An image is looked up by its exact `name:tag`, then by its name alone; a leading `docker.io/` (and
//! `library/` after it) and a digest do not matter. A container without `command` runs the program with the
//! image's arguments and then its own `args`. A container with a `command` runs it as written if it is an
//! absolute path that exists inside the sandbox. Otherwise the command names something inside the real
//! image, and the program takes its place: if the image has arguments, the program is a stand-in and runs as
//! without a `command`; if not, the program is the image's own and gets the rest of the command and `args`.

use k8s_openapi::api::core::v1::Container;

use crate::node::ImageConfig;

/// The images a node knows.
#[derive(Debug)]
pub(super) struct ImageMap {
    images: Vec<ImageConfig>,
}

/// What a container executes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CommandLine {
    /// Program and arguments as the manifest or the image says.
    pub(super) argv: Vec<String>,
    /// Taken instead if the program of `argv` does not exist in the sandbox.
    pub(super) fallback: Option<Vec<String>>,
}

impl ImageMap {
    pub(super) fn new(images: Vec<ImageConfig>) -> Self {
        Self { images }
    }

    /// The program for an image, or none.
    pub(super) fn find(&self, image: &str) -> Option<&ImageConfig> {
        let wanted = canonical(image);
        let named = |name: &str| self.images.iter().find(|entry| canonical(&entry.image) == name);
        named(wanted).or_else(|| named(without_tag(wanted)))
    }

    /// Names of all images, for the message about an unknown one.
    pub(super) fn names(&self) -> Vec<&str> {
        self.images.iter().map(|entry| entry.image.as_str()).collect()
    }
}

/// The name without what does not matter to the lab.
fn canonical(image: &str) -> &str {
    let image = image.split_once('@').map_or(image, |(name, _)| name);
    let Some(path) = image.strip_prefix("docker.io/") else { return image };
    path.strip_prefix("library/").unwrap_or(path)
}

fn without_tag(image: &str) -> &str {
    match image.rsplit_once(':') {
        // A colon before the last slash belongs to the registry's port.
        Some((name, tag)) if !tag.contains('/') => name,
        Some(_) | None => image,
    }
}

/// Whether the image's program is the lab's own echo server, which wants to know image and ports.
pub(super) fn is_echo(image: &ImageConfig) -> bool {
    image.args.first().is_some_and(|arg| arg == "echo")
}

/// The command line of a container whose `command` and `args` are expanded already.
pub(super) fn command_line(image: &ImageConfig, command: &[String], args: &[String]) -> CommandLine {
    let program = image.program.to_string_lossy().into_owned();
    let stand_in: Vec<String> = std::iter::once(program.clone())
        .chain(image.args.iter().cloned())
        .chain(args.iter().cloned())
        .collect();
    let Some((_, rest)) = command.split_first() else {
        return CommandLine { argv: stand_in, fallback: None };
    };
    let own = std::iter::once(program).chain(rest.iter().cloned()).chain(args.iter().cloned());
    CommandLine {
        argv: command.iter().chain(args).cloned().collect(),
        fallback: Some(if image.args.is_empty() { own.collect() } else { stand_in }),
    }
}

/// `LAB_PORTS`: the container's ports as the echo server reads them.
pub(super) fn echo_ports(container: &Container) -> String {
    let ports = container.ports.iter().flatten().map(|port| match port.protocol.as_deref() {
        None | Some("TCP") => port.container_port.to_string(),
        Some(protocol) => format!("{}/{protocol}", port.container_port),
    });
    ports.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{ImageMap, command_line};
    use crate::node::ImageConfig;

    fn image(name: &str, program: &str, args: &[&str]) -> ImageConfig {
        ImageConfig {
            image: name.to_owned(),
            program: PathBuf::from(program),
            args: strings(args),
            env: std::collections::BTreeMap::new(),
        }
    }

    fn strings(list: &[&str]) -> Vec<String> {
        list.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_exact_tag_wins_over_the_name_and_the_default_registry_does_not_matter() {
        let map = ImageMap::new(vec![
            image("whatwant/node-web", "/any", &[]),
            image("whatwant/node-web:2.0", "/two", &[]),
            image("docker.io/library/nginx", "/nginx", &[]),
            image("registry.example:5000/app", "/app", &[]),
        ]);
        let program = |name| map.find(name).map(|entry| entry.program.to_str().unwrap());
        assert_eq!(program("whatwant/node-web:2.0"), Some("/two"));
        assert_eq!(program("docker.io/whatwant/node-web:1.0"), Some("/any"));
        assert_eq!(program("whatwant/node-web:2.0@sha256:0123"), Some("/two"));
        assert_eq!(program("nginx:1.29"), Some("/nginx"));
        assert_eq!(program("registry.example:5000/app:v1"), Some("/app"));
        assert_eq!(program("registry.example:5000/app"), Some("/app"));
        assert_eq!(program("other/node-web:2.0"), None);
        assert_eq!(program("whatwant/node-webs"), None);
    }

    #[test]
    fn a_container_without_command_runs_the_program_with_both_arguments() {
        let line = command_line(&image("i", "/lab", &["echo"]), &[], &strings(&["--x"]));
        assert_eq!((line.argv, line.fallback), (strings(&["/lab", "echo", "--x"]), None));
    }

    #[test]
    fn a_command_is_replaced_by_a_stand_in_as_a_whole_but_by_the_own_program_at_its_first_word() {
        let echo = command_line(&image("i", "/lab", &["echo"]), &strings(&["node", "app.js"]), &[]);
        assert_eq!(echo.argv, strings(&["node", "app.js"]));
        assert_eq!(echo.fallback, Some(strings(&["/lab", "echo"])));
        let own = command_line(
            &image("i", "/b/ferrolb", &[]),
            &strings(&["/ferrolb", "speaker"]),
            &strings(&["-v"]),
        );
        assert_eq!(own.argv, strings(&["/ferrolb", "speaker", "-v"]));
        assert_eq!(own.fallback, Some(strings(&["/b/ferrolb", "speaker", "-v"])));
    }
}
