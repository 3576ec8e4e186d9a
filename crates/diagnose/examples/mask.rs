//! Prints the masked form.
use std::io::Read;
fn main() {
    let mut text = String::new();
    let _ = std::io::stdin().read_to_string(&mut text);
    println!("{:#?}", diagnose::classify(&text));
    println!("{}", diagnose::masked(&text));
}
