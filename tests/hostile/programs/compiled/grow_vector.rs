// Grows a vector until there is no memory.
// ends: memory|trap
fn main() {
    let mut all: Vec<Vec<u8>> = Vec::new();
    loop { all.push(vec![1u8; 1 << 20]); }
}
