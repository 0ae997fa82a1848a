//! Running programs, with errors that say which command it was.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The command as a reader would type it.
pub(crate) fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| quoted(&word.to_string_lossy())).collect::<Vec<_>>().join(" ")
}

/// `word` as a shell needs it typed.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Runs `command` on our terminal and waits for it.
///
/// # Errors
/// When it cannot be started or ends with another status than 0.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("could not start `{}`", shown(command)))?;
    if !status.success() {
        bail!("`{}` ended with {status}", shown(command));
    }
    Ok(())
}

/// Runs `command` and returns what it wrote to its standard output.
///
/// # Errors
/// When it cannot be started or ends with another status than 0; the message has its standard error.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("could not start `{}`", shown(command)))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{}` ended with {}: {}", shown(command), output.status, said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs `command` with `input` as its standard input; returns its standard output whatever its status.
///
/// # Errors
/// When it cannot be started or does not take its input.
pub(crate) fn filter(command: &mut Command, input: &str) -> Result<String> {
    let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = started.with_context(|| format!("could not start `{}`", shown(command)))?;
    let mut stdin = child.stdin.take().context("the child's standard input is not a pipe")?;
    let output = std::thread::scope(|scope| {
        let writer = scope.spawn(move || stdin.write_all(input.as_bytes()));
        let output = child.wait_with_output();
        writer.join().map_err(|_panic| anyhow::anyhow!("the writer thread panicked"))??;
        output.map_err(anyhow::Error::from)
    });
    let output = output.with_context(|| format!("`{}` did not take its input", shown(command)))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether `command` can be started and ends with status 0; its output is thrown away.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_it_would_be_typed() {
        let mut command = Command::new("kubectl");
        command.args(["patch", "service", "a b", "-p", r#"{"x":1}"#, ""]);
        assert_eq!(shown(&command), r#"kubectl patch service 'a b' -p '{"x":1}' ''"#);
        assert_eq!(quoted("You've"), r"'You'\''ve'");
    }

    #[test]
    fn a_failed_command_is_named_with_its_status_and_what_it_said() {
        let error =
            output(Command::new("sh").args(["-c", "echo no disk >&2; exit 3"])).unwrap_err().to_string();
        assert!(error.contains("exit 3") && error.ends_with("no disk"), "{error}");
        assert!(run(&mut Command::new("/nonexistent/program")).is_err());
    }

    #[test]
    fn a_filter_returns_its_output_even_when_its_status_is_not_zero() {
        let seen = filter(Command::new("sh").args(["-c", "cat; exit 1"]), "text").unwrap();
        assert_eq!(seen, "text");
    }
}
