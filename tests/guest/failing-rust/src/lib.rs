//! Fails as the job's name says.

use std::hint::black_box;

use soloist_sdk::{Context, Failure};

soloist_sdk::job!(run);

fn run(context: Context) -> Result<String, Failure> {
    fail(&context.job)?;
    Ok("did not fail".to_owned())
}

#[inline(never)]
fn fail(mode: &str) -> Result<(), Failure> {
    match mode {
        "exception" => panic!("no such thing: {}", black_box(7)),
        "index" => drop(black_box([0_u8; 3].as_slice())[black_box(5)]),
        "unwrap" => drop("x".parse::<u32>().unwrap()),
        "exit" => std::process::exit(3),
        "trap" => trap(),
        "retry" => return Err(Failure::retry("again, please")),
        "final" => return Err(Failure::final_("never again")),
        _ => {}
    }
    Ok(())
}

#[cfg(target_arch = "wasm32")]
fn trap() -> ! {
    core::arch::wasm32::unreachable()
}

#[cfg(not(target_arch = "wasm32"))]
fn trap() -> ! {
    std::process::abort()
}
