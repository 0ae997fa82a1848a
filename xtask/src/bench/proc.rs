//! What the kernel says of a process under `/proc/PID`.

/// Ticks of `/proc/PID/stat` in a second: fixed for all of Linux's user space.
const TICKS_PER_SECOND: f64 = 100.0;

/// User and system time in `/proc/PID/stat`: its fields 14 and 15, of which the program's name,
/// in parentheses and with any character in it, is the second.
pub(super) fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11).map(str::parse::<f64>);
    let (user, system) = (times.next()?.ok()?, times.next()?.ok()?);
    Some((user + system) / TICKS_PER_SECOND)
}

/// A field of `/proc/PID/status` that is in KiB, in MiB.
pub(super) fn mib(status: &str, field: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_found_behind_any_name() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 3 0 100 1000 10";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(cpu_seconds("7 (a) S 1"), None);
    }

    #[test]
    fn a_field_of_memory_is_found_by_its_name() {
        assert_eq!(mib("VmPeak:\t 9 kB\nVmHWM:\t    2048 kB\nVmRSS:\t 1 kB\n", "VmHWM:"), Some(2.0));
        assert_eq!(mib("Name: x", "VmHWM:"), None);
    }
}
