//! The sum of price × count over the objects of a JSON text: a WASI command, or with `--cfg extism` a plug-in for
//! Extism. Standard library only.

fn total(text: &[u8]) -> i64 {
    let (mut sum, mut price, mut count) = (0, 0, 0);
    let mut key: &[u8] = b"";
    let mut i = 0;
    while i < text.len() {
        let start = i;
        match text[i] {
            b'"' => {
                i += 1;
                while i < text.len() && text[i] != b'"' {
                    i += if text[i] == b'\\' { 2 } else { 1 };
                }
                key = text.get(start + 1..i).unwrap_or(b"");
            }
            b'0'..=b'9' => {
                let mut number = 0;
                while i < text.len() && text[i].is_ascii_digit() {
                    number = number * 10 + i64::from(text[i] - b'0');
                    i += 1;
                }
                i -= 1;
                match key {
                    b"price" => price = number,
                    b"count" => count = number,
                    _ => {}
                }
            }
            b'}' => {
                sum += price * count;
                price = 0;
                count = 0;
            }
            _ => {}
        }
        i += 1;
    }
    sum
}

#[cfg(not(extism))]
fn main() {
    use std::io::Read;
    let mut text = Vec::new();
    std::io::stdin().read_to_end(&mut text).expect("stdin can be read");
    println!("{{\"total\": {}}}", total(&text));
}

#[cfg(extism)]
mod host {
    #[link(wasm_import_module = "extism:host/env")]
    extern "C" {
        pub fn input_length() -> u64;
        pub fn input_load_u8(at: u64) -> u32;
        pub fn input_load_u64(at: u64) -> u64;
        pub fn alloc(size: u64) -> u64;
        pub fn store_u8(at: u64, byte: u32);
        pub fn output_set(at: u64, size: u64);
    }
}

#[cfg(extism)]
#[export_name = "total"]
pub extern "C" fn plugin_total() -> i32 {
    unsafe {
        let size = host::input_length();
        let mut text = Vec::with_capacity(size as usize);
        let whole = size / 8 * 8;
        for at in (0..whole).step_by(8) {
            text.extend_from_slice(&host::input_load_u64(at).to_le_bytes());
        }
        for at in whole..size {
            text.push(host::input_load_u8(at) as u8);
        }
        let out = format!("{{\"total\": {}}}", total(&text));
        let answer = host::alloc(out.len() as u64);
        for (i, byte) in out.bytes().enumerate() {
            host::store_u8(answer + i as u64, u32::from(byte));
        }
        host::output_set(answer, out.len() as u64);
    }
    0
}
