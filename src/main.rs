//! The `ringway` program.

/// Costs a tenth less CPU per request than the system's allocator.
#[cfg(not(target_arch = "wasm32"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[cfg(not(target_arch = "wasm32"))]
fn main() -> std::process::ExitCode {
    ringway::native::run(std::env::args_os())
}

/// Read by jemalloc at start. A worker takes and gives back a buffer of 8 KiB
/// with each request; by default its thread's cache would be gone over after
/// every eighth of them.
#[cfg(not(target_arch = "wasm32"))]
#[expect(unsafe_code, reason = "jemalloc takes its options from this symbol")]
// SAFETY: nothing else defines the symbol, and jemalloc declares it as a
// pointer to constant characters that end with a zero, which this is.
#[unsafe(export_name = "_rjem_malloc_conf")]
static ALLOCATOR_OPTIONS: &u8 = &b"tcache_gc_incr_bytes:4194304\0"[0];

#[cfg(target_arch = "wasm32")]
fn main() {}
