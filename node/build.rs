//! Lets the linker of each platform leave Node's symbols to Node.

fn main() {
    napi_build::setup();
}
