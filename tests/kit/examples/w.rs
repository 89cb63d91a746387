use audience_kit::world::*;
fn main() {
    let mut args = std::env::args().skip(1);
    let from: u64 = args.next().unwrap().parse().unwrap();
    let to: u64 = args.next().unwrap().parse().unwrap();
    let kind = args.next().unwrap_or("plain".into());
    let mut failed = 0;
    let mut len = 0;
    let mut out = (0, 0);
    for seed in from..to {
        let script = match kind.as_str() {
            "plain" => script_of(seed),
            "all" => ending_of(seed, Scene::AllThere),
            "gone" => ending_of(seed, Scene::OneGone),
            "dies" => ending_of(seed, Scene::OneDies),
            _ => ending_of(seed, Scene::Together),
        };
        len += script.len();
        match std::panic::catch_unwind(|| run(&script)) {
            Ok(o) => { out.0 += o.events; out.1 += o.reported; }
            Err(_) => { failed += 1; eprintln!("SEED {seed}"); if failed > 20 { break; } }
        }
    }
    println!("failed {failed}, mean length {}, events {} reported {}", len / ((to - from) as usize).max(1), out.0, out.1);
}
