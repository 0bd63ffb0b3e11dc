//! The `ringway` program.

#[cfg(not(target_arch = "wasm32"))]
fn main() -> std::process::ExitCode {
    ringway::native::run(std::env::args_os())
}

#[cfg(target_arch = "wasm32")]
fn main() {}
