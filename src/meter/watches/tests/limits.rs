//! What watchers may cost: nothing is kept of names without watchers, and the patterns of all have a limit.

use super::*;

#[test]
fn a_name_without_watchers_is_not_kept() {
    let mut world = World::new();
    world.enter(0, &["*"]);
    world.join(0, "a");
    world.settle();
    for _ in 0..100 {
        world.enter(1, &["empty", "a", "else"]);
        world.settle();
        assert_eq!(world.watches.subjects.name_count(), 3);
        world.go(1);
        assert_eq!(world.watches.subjects.name_count(), 1, "without another round");
    }
    world.check();
}

#[test]
fn the_patterns_of_all_watchers_together_have_a_limit() {
    let mut world = World::new();
    let names: Vec<String> = (0..PATTERNS_MAX).map(|number| number.to_string()).collect();
    let patterns: Vec<Pattern> = names.iter().map(|name| Pattern::Name(name)).collect();
    let mut enter = |id, count, reserved| {
        let id = WatcherId::new(id);
        world.watches.enter(id, &patterns[..count], reserved, &mut world.meter, world.now)
    };
    assert_eq!(enter(0, PATTERNS_MAX, 1), Err(Full));
    assert_eq!(enter(0, PATTERNS_MAX, 0), Ok(()));
    assert_eq!(enter(1, 1, 0), Err(Full));
    world.watches.leave(WatcherId::new(0), &mut world.meter);
    assert!(world.watches.is_empty());
    world.enter(1, &["*"]);
    world.settle();
    world.check();
}
