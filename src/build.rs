//! Has the crate built again when a file joins or leaves `www/`, which is
//! embedded: by itself Cargo only sees files change that it has seen before.

fn main() {
    println!("cargo::rerun-if-changed=www");
}
