//! The `ringway` program.

/// Costs a tenth less CPU per request than the system's allocator.
#[cfg(not(target_arch = "wasm32"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[cfg(not(target_arch = "wasm32"))]
fn main() -> std::process::ExitCode {
    ringway::native::run(std::env::args_os())
}

#[cfg(target_arch = "wasm32")]
fn main() {}
