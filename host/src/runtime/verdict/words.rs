//! What a language says on stderr when it gives up: a panic, an uncaught exception, a failed assertion. It is the language's own
//! message, and where in the source it came up, if that was said.

/// How a language says that it gives up, and how its message is found in what it printed.
///
/// Each takes the end of stderr; the message is none where another language speaks. An interpreter comes before the language
/// that it is written in, which panics over the exception.
const LANGUAGES: [fn(&str) -> Option<String>; 8] = [python, componentize_js, rust, zig, go, assertion, cpp, javascript];

/// Functions that are named behind a message.
const FRAMES: usize = 3;

/// The message of a panic or an uncaught exception, on one line; none where stderr holds nothing of the kind.
pub(super) fn of_panic(stderr: &str) -> Option<String> {
    LANGUAGES.iter().find_map(|language| language(stderr))
}

/// `thread 'main' (1) panicked at src/lib.rs:5:9:`, then the message.
fn rust(stderr: &str) -> Option<String> {
    let panic = &stderr[stderr.rfind("panicked at ")?..];
    let ends = |line: &str| line.starts_with("note: ") || line.starts_with("stack backtrace:");
    Some(joined(panic.lines().take_while(|line| !ends(line))))
}

/// `thread 1 panic: index out of bounds: index 5, len 3`, or without a thread `panic: …`; Go says `panic: ` at the line's start
/// and its goroutines behind it.
fn zig(stderr: &str) -> Option<String> {
    let line = stderr.lines().rev().find(|line| line.starts_with("thread ") && line.contains(" panic: "))?;
    let message = &line[line.find("panic: ")?..];
    Some(message.trim().to_owned())
}

/// `panic: runtime error: index out of range [5] with length 3`, then `goroutine 1 [running]:` and the functions, each with its
/// place on the line behind it. Zig without threads says `panic: ` too.
fn go(stderr: &str) -> Option<String> {
    let starts = |line: &str| line.starts_with("panic: ") || line.starts_with("fatal error: ");
    let lines: Vec<&str> = stderr.lines().collect();
    let start = lines.iter().rposition(|line| starts(line))?;
    let message = joined(lines[start..].iter().copied().take_while(|line| !ends_go_message(line)));
    // The first function that is not Go's own.
    let trace = lines[start..].iter().skip_while(|line| !line.starts_with("goroutine ")).skip(1);
    let place = trace.zip(lines[start..].iter().skip_while(|line| !line.starts_with("goroutine ")).skip(2)).find_map(
        |(function, place)| {
            let is_own = ["panic(", "runtime.", "runtime/", "goroutine "].iter().any(|own| function.starts_with(own));
            let place = place.strip_prefix('\t')?.split(" +0x").next()?;
            (!is_own).then(|| format!("{} ({place})", function.split('(').next().unwrap_or(function)))
        },
    );
    Some(place.map_or_else(|| message.clone(), |place| format!("{message}, in {place}")))
}

fn ends_go_message(line: &str) -> bool {
    line.is_empty() || line.starts_with("goroutine ") || line.starts_with("[signal ")
}

/// `Traceback (most recent call last):`, the calls, and the exception on the last line.
fn python(stderr: &str) -> Option<String> {
    let traceback = &stderr[stderr.rfind("Traceback (most recent call last):")?..];
    let exception: Vec<&str> = traceback
        .lines()
        .skip(1)
        .skip_while(|line| line.is_empty() || line.starts_with(' '))
        .take_while(|line| !line.trim().is_empty() && !line.starts_with("thread '"))
        .collect();
    let message = joined(exception.into_iter());
    if message.is_empty() {
        return None;
    }
    // `  File "/app.py", line 3, in check`: the innermost is the last.
    let calls = traceback.lines().rev().filter_map(|line| {
        let (file, rest) = line.trim_start().strip_prefix("File \"")?.split_once("\", line ")?;
        let (line, function) = rest.split_once(", in ").unwrap_or((rest, ""));
        let place = format!("{file}:{line}");
        Some(if function.is_empty() { place } else { format!("{function} ({place})") })
    });
    let calls: Vec<String> = calls.take(FRAMES).collect();
    Some(if calls.is_empty() { message } else { format!("{message}, in {}", calls.join(", called by ")) })
}

/// A JavaScript component's own words for a thrown value that is no `Failure`: ``invalid variant tag value `undefined` (received
/// `TypeError: no such thing`) specified for `Failure` ``.
fn componentize_js(stderr: &str) -> Option<String> {
    let line = stderr.lines().rev().find(|line| line.contains("specified for `Failure`"))?;
    let (_, thrown) = line.split_once("(received `")?;
    let (thrown, _) = thrown.rsplit_once("`) specified for")?;
    Some(thrown.trim().to_owned())
}

/// What `assert` says in C (`Assertion failed: x > 0 (main.c: check: 5)`), and `abort` in `AssemblyScript` (`abort: no such thing
/// in assembly/index.ts(5:3)`).
fn assertion(stderr: &str) -> Option<String> {
    let is_it = |line: &&str| {
        line.starts_with("Assertion failed: ")
            || line.starts_with("abort: ")
            || (line.contains(": Assertion `") && line.ends_with("failed."))
    };
    stderr.lines().rev().find(is_it).map(|line| line.trim().to_owned())
}

/// `libc++abi: terminating due to uncaught exception of type std::runtime_error: no such thing`.
fn cpp(stderr: &str) -> Option<String> {
    let start = stderr.rfind("libc++abi: terminating")?;
    stderr[start..].lines().next().map(|line| line.trim_start_matches("libc++abi: ").trim().to_owned())
}

/// An error's name and message, and its stack: `TypeError: x is undefined`, then lines of `at run (job.js:3:9)` or `run@job.js:3:9`;
/// or a line that says `Uncaught`.
fn javascript(stderr: &str) -> Option<String> {
    let lines: Vec<&str> = stderr.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let thrown = lines.iter().rposition(|line| is_javascript_error(line))?;
    let message = lines[thrown].trim_start_matches("Uncaught ").trim_start_matches("exception: ");
    let place = lines[thrown + 1..].iter().find_map(|line| javascript_frame(line));
    Some(place.map_or_else(|| message.to_owned(), |place| format!("{message}, in {place}")))
}

fn is_javascript_error(line: &str) -> bool {
    let line = line.trim_start_matches("Uncaught ").trim_start_matches("exception: ");
    let name = line.split(':').next().unwrap_or_default();
    (name.ends_with("Error") && name.chars().all(char::is_alphanumeric) && line.contains(": "))
        || line.starts_with("(new Error(")
}

fn javascript_frame(line: &str) -> Option<String> {
    if let Some(frame) = line.strip_prefix("at ") {
        return Some(frame.to_owned());
    }
    let (function, place) = line.split_once('@')?;
    let (rest, column) = place.rsplit_once(':')?;
    column.parse::<u32>().ok()?;
    Some(if function.is_empty() { rest.to_owned() } else { format!("{function} ({rest})") })
}

fn joined<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    lines.map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(stderr: &str) -> String {
        of_panic(stderr).unwrap_or_default()
    }

    #[test]
    fn rust_says_where_before_what() {
        let stderr = "starting\n\nthread '<unnamed>' (1) panicked at src/lib.rs:5:9:\nno such thing: 7\nnote: run with \
                      `RUST_BACKTRACE=1` environment variable to display a backtrace\n";
        assert_eq!(said(stderr), "panicked at src/lib.rs:5:9: no such thing: 7");
    }

    #[test]
    fn go_says_it_before_its_goroutines() {
        let stderr = "panic: runtime error: index out of range [5] with length 3\n\ngoroutine 1 [running]:\n\
                      runtime.panicIndex(0x5)\n\t/go/src/runtime/panic.go:115 +0x2\nmain.check(...)\n\
                      \t/src/main.go:12\nmain.main()\n\t/src/main.go:7 +0x3\n";
        assert_eq!(
            said(stderr),
            "panic: runtime error: index out of range [5] with length 3, in main.check (/src/main.go:12)"
        );
        let stderr = "fatal error: all goroutines are asleep - deadlock!\n\ngoroutine 1 [chan receive]:\nmain.main()\n\
                      \t/src/main.go:4 +0x2\n";
        assert_eq!(said(stderr), "fatal error: all goroutines are asleep - deadlock!, in main.main (/src/main.go:4)");
        let custom = "panic: main.E{Code:1} [recovered]\n\tpanic: again\n\ngoroutine 1 [running]:\n";
        assert_eq!(said(custom), "panic: main.E{Code:1} [recovered] panic: again");
    }

    #[test]
    fn python_says_it_last() {
        let stderr = "Traceback (most recent call last):\n  File \"/app.py\", line 9, in run\n    check()\n  File \"/app.py\", \
                      line 3, in check\n    raise ValueError(\"no such thing\")\nValueError: no such thing\n";
        assert_eq!(said(stderr), "ValueError: no such thing, in check (/app.py:3), called by run (/app.py:9)");
        let chained = "Traceback (most recent call last):\n  File \"/a.py\", line 1, in a\nKeyError: 1\n\nDuring handling of \
                       the above exception, another exception occurred:\n\nTraceback (most recent call last):\n  File \
                       \"/a.py\", line 2, in b\nOSError: two\n";
        assert_eq!(said(chained), "OSError: two, in b (/a.py:2)");
        // An interpreter written in Rust.
        let component = "Traceback (most recent call last):\n  File \"/0/fail.py\", line 15, in run\n  File \"/0/fail.py\", \
                         line 7, in deep\nValueError: no such thing: 7\nthread '<unnamed>' (1) panicked at \
                         runtime/src/lib.rs:1293:29:\nPython function threw an unexpected exception\nnote: run with\n";
        assert_eq!(
            said(component),
            "ValueError: no such thing: 7, in deep (/0/fail.py:7), called by run (/0/fail.py:15)"
        );
    }

    #[test]
    fn javascript_says_it_with_a_stack() {
        let node = "Uncaught TypeError: x is undefined\n    at run (job.js:3:9)\n    at main (job.js:1:1)\n";
        assert_eq!(said(node), "TypeError: x is undefined, in run (job.js:3:9)");
        let component = "invalid variant tag value `undefined` (received `TypeError: no such thing: 7`) specified for \
                         `Failure`\nStack:\n  export_run@/tmp/x/initializer.js:148:17\nRedirecting call to abort() to \
                         mozalloc_abort\n";
        assert_eq!(said(component), "TypeError: no such thing: 7");
        let starling = "exception: Error: no such thing\nStack:\n  run@job.js:3:9\n  @job.js:1:1\n";
        assert_eq!(said(starling), "Error: no such thing, in run (job.js:3)");
    }

    #[test]
    fn zig_and_c_say_it_on_one_line() {
        assert_eq!(said("thread 1 panic: reached unreachable code\n???\n"), "panic: reached unreachable code");
        assert_eq!(said("panic: reached unreachable code\n"), "panic: reached unreachable code");
        let assert = "Assertion failed: x > 0 (main.c: check: 5)";
        assert_eq!(said(&format!("begin\n{assert}\n")), assert);
        let cpp = "libc++abi: terminating due to uncaught exception of type std::runtime_error: no such thing\n";
        assert_eq!(said(cpp), "terminating due to uncaught exception of type std::runtime_error: no such thing");
    }

    #[test]
    fn what_a_program_merely_prints_is_no_panic() {
        for stderr in ["", "nothing of the kind\n", "an Error: no\n", "don't panic: all is well\n", "warning: abort\n"]
        {
            assert_eq!(of_panic(stderr), None, "{stderr}");
        }
    }
}
