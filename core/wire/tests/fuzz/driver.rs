//! What all targets share: inputs from a corpus, changed at random, until a number or a time is
//! used up.
//!
//! A target takes octets and says in words what came of them; what does not hold, panics. An input
//! with new words joins the corpus, so that later ones begin where it got to: a guide that needs no
//! instrumented build. Of an input that panics the smallest part is printed that still does.
//!
//! A short run is the same each time. With [`MINUTES`] in the environment a run takes that long,
//! from another seed each time.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind, set_hook, take_hook};
use std::time::{Duration, Instant, SystemTime};

use ferrolb_vocab::Random;

/// How many minutes a target runs, instead of a number of inputs.
const MINUTES: &str = "FERROLB_FUZZ_MINUTES";

/// How many inputs the corpus may have: by then new words are rarely new ground.
const CORPUS_MAX: usize = 4_000;

/// No input takes a hundredth of it: one that does takes time that no bound holds.
const TIME_MAX: Duration = Duration::from_secs(10);

/// Octets that are often at a border of something.
const BORDERS: [u8; 12] = [0, 1, 2, 4, 14, 16, 32, 33, 0x40, 0x7f, 0x80, 0xff];

/// What to do with inputs.
pub(crate) struct Target {
    /// The name of its module.
    pub(crate) name: &'static str,
    /// Inputs to begin with, at least one.
    pub(crate) corpus: Vec<Vec<u8>>,
    /// Octets of the longest input.
    pub(crate) octets_max: usize,
    /// Inputs in a short run.
    pub(crate) executions: u64,
}

impl Target {
    /// Runs `check` on the corpus, and on what becomes of it. It says in words what came of an input.
    pub(crate) fn run(mut self, check: impl Fn(&[u8]) -> String) {
        let minutes = std::env::var(MINUTES).ok().map(|text| match text.parse::<u32>() {
            Ok(minutes) => Duration::from_secs(60) * minutes,
            Err(error) => panic!("{MINUTES}={text}: {error}; expected a number of minutes"),
        });
        let seed = if minutes.is_some() { now() } else { 1 };
        let mut random = Random::new(seed);
        let mut words: BTreeSet<_> = self.corpus.iter().map(|input| self.execute(input, &check)).collect();
        let (start, mut executions, mut slowest) = (Instant::now(), 0, Duration::ZERO);
        while minutes.map_or(executions < self.executions, |minutes| start.elapsed() < minutes) {
            let input = self.mutated(&mut random);
            let begin = Instant::now();
            let is_new = words.insert(self.execute(&input, &check));
            slowest = slowest.max(begin.elapsed());
            executions += 1;
            if is_new && self.corpus.len() < CORPUS_MAX {
                self.corpus.push(input);
            }
        }
        assert!(slowest < TIME_MAX, "{}: an input of {slowest:.1?}, seed {seed}", self.name);
        println!(
            "{}: {executions} executions in {:.1?}, slowest {slowest:.1?}, {} outcomes, seed {seed}, no finding",
            self.name,
            start.elapsed(),
            words.len()
        );
    }

    fn execute(&self, input: &[u8], check: &impl Fn(&[u8]) -> String) -> String {
        let caught = catch_unwind(AssertUnwindSafe(|| check(input)));
        caught.unwrap_or_else(|panic| {
            let hook = take_hook();
            set_hook(Box::new(|_panic| {}));
            let smallest = smallest(input, check);
            set_hook(hook);
            println!("{}: a finding; put it into the corpus: {}", self.name, hexadecimal(&smallest));
            resume_unwind(panic)
        })
    }

    /// One of the corpus, changed in a few places.
    fn mutated(&self, random: &mut Random) -> Vec<u8> {
        let mut input = one_of(&self.corpus, random).clone();
        for _change in 0..=below(4, random) {
            self.change(&mut input, random);
        }
        input.truncate(self.octets_max);
        input
    }

    fn change(&self, input: &mut Vec<u8>, random: &mut Random) {
        let at = below(input.len() + 1, random);
        let end = (at + 1 + below(8, random)).min(input.len());
        match below(8, random) {
            0 => replace(input, at, |octet| octet ^ 1 << below(8, random)),
            1 => replace(input, at, |_octet| any(random)),
            2 => replace(input, at, |_octet| *one_of(&BORDERS, random)),
            3 => replace(input, at, |octet| {
                octet.wrapping_add(if random.draw() < u32::MAX / 2 { 1 } else { 255 })
            }),
            4 => drop(input.drain(at..end)),
            5 => input.insert(at, any(random)),
            // A piece of its own once more.
            6 => {
                let piece = input[at..end].to_vec();
                let to = below(input.len() + 1, random);
                input.splice(to..to, piece);
            }
            // The end of another.
            _seven => {
                let other = one_of(&self.corpus, random);
                input.truncate(at);
                input.extend_from_slice(&other[below(other.len() + 1, random)..]);
            }
        }
    }
}

/// Changes an octet, or appends one where there is none.
fn replace(input: &mut Vec<u8>, at: usize, by: impl FnOnce(u8) -> u8) {
    match input.get_mut(at) {
        Some(octet) => *octet = by(*octet),
        None => input.push(by(0)),
    }
}

/// What is left of `input` when nothing more can be taken away without losing the panic.
fn smallest(input: &[u8], check: &impl Fn(&[u8]) -> String) -> Vec<u8> {
    let panics = |octets: &[u8]| catch_unwind(AssertUnwindSafe(|| check(octets))).is_err();
    let mut input = input.to_vec();
    let mut size = input.len();
    while size > 0 {
        let mut at = 0;
        while at < input.len() {
            let mut shorter = input.clone();
            shorter.drain(at..(at + size).min(input.len()));
            if panics(&shorter) {
                input = shorter;
            } else {
                at += size;
            }
        }
        size /= 2;
    }
    input
}

fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// A number below `bound`, which is not zero.
fn below(bound: usize, random: &mut Random) -> usize {
    usize::try_from(random.draw()).unwrap() % bound
}

fn any(random: &mut Random) -> u8 {
    random.draw().to_be_bytes()[0]
}

fn one_of<'a, T>(values: &'a [T], random: &mut Random) -> &'a T {
    &values[below(values.len(), random)]
}

/// Nanoseconds, of which only the last ones matter.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    u64::try_from(since.as_nanos()).unwrap()
}
