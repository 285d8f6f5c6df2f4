//! Several VMs, an ASE and the host's shared data, stepped by hand: what each clears, whatever gets lost between them.

use proptest::prelude::*;

use super::*;
use crate::outbox::News;

mod world;

use world::{MAX_AGE, Request, TICK, Way, World, limits};

#[test]
fn a_new_entry_is_asked_about_on_every_worker_within_three_ticks() {
    let mut world = World::of(4);
    world.ticks(8);
    assert_eq!(world.who_clears(7), [true; 4]);
    for client in 1..40 {
        world.ase.list(client);
        world.ticks(3);
        assert_eq!(world.who_clears(client), [false; 4], "client {client}");
    }
    assert_eq!(world.ase.whole_images, 1, "one VM fetches for all");
    assert_eq!(world.who_clears(200), [true; 4]);
}

#[test]
fn while_any_worker_is_busy_none_calls_for_news_and_entries_come_as_soon() {
    for busy in [vec![0], vec![2], vec![0, 1, 2, 3]] {
        let mut world = World::of(4);
        world.ticks(8);
        world.busy = busy.clone();
        world.ticks(3);
        let calls = world.calls;
        for client in 1..40 {
            world.ase.list(client);
            world.ticks(3);
            assert_eq!(world.who_clears(client), [false; 4], "{busy:?}: {client}");
        }
        assert_eq!(world.calls, calls, "{busy:?}");
        world.ticks(100);
        assert_eq!(world.calls, calls, "{busy:?}");
        assert_eq!(
            world.who_clears(200),
            [true; 4],
            "and the image stays fresh"
        );
        world.ase.rebuild();
        world.ticks(5);
        assert_eq!(world.builds(), [Some(world.ase.build()); 4]);
        assert!(
            world.calls <= calls + 2,
            "{busy:?}: {}",
            world.calls - calls
        );
    }
}

#[test]
fn an_entry_of_the_moment_when_traffic_ends_reaches_every_worker_within_three_ticks() {
    let mut world = World::of(4);
    world.ticks(8);
    // Whoever calls ticks last, so that the others hear of it a tick later.
    let holder = world.holder().unwrap();
    world.vms.swap(holder, 3);
    for client in 1..40 {
        world.busy = vec![usize::from(client) % 4];
        world.ticks(5 + u32::from(client) % 3);
        world.busy = Vec::new();
        world.ase.list(client);
        world.ticks(3);
        assert_eq!(world.who_clears(client), [false; 4], "{client}");
    }
}

#[test]
fn a_busy_worker_tells_the_others_once_a_tick_that_nothing_is_new() {
    let mut world = World::of(2);
    world.ticks(8);
    let vm = 1 - world.holder().unwrap();
    let named = world.vms[vm].named(world.now.after(TICK)).unwrap();
    let later = Named {
        sent: named.sent.after(TICK),
        ..named
    };
    let current = &News::Current;
    assert_eq!(world.vms[vm].heard(current, named), Ok(true));
    assert_eq!(world.vms[vm].heard(current, named), Ok(false), "the same");
    assert_eq!(
        world.vms[vm].heard(current, later),
        Ok(false),
        "the same tick"
    );
    world.busy = vec![vm];
    world.ticks(10);
    assert_eq!(world.posts, 10);
}

#[test]
fn what_a_receipt_says_of_another_image_or_does_not_say_confirms_nothing() {
    let mut world = World::of(1);
    world.ticks(8);
    world.ase.list(9);
    let vm = &mut world.vms[0];
    let before = vm.named(world.now).unwrap();
    let (build, revision) = before.image;
    let sent = world.now.after(MAX_AGE);
    let about = |image| Named { image, sent };
    let overlay = News::Overlay(world.ase.image.base().to_vec());
    assert_eq!(vm.heard(&News::Current, about((build + 1, 0))), Ok(false));
    assert_eq!(
        vm.heard(&News::Current, about((build, revision + 1))),
        Ok(false)
    );
    assert_eq!(vm.heard(&News::Silent, about(before.image)), Ok(false));
    assert_eq!(vm.heard(&overlay, about((build + 1, 0))), Ok(false));
    assert_eq!(vm.have(), Some(before.image), "no call for the whole image");
    let refused = Err(ImageFailure::Refused);
    assert_eq!(vm.heard(&News::Garbled, about((build + 1, 0))), refused);
    assert_eq!(vm.heard(&overlay, about(before.image)), refused);
    assert_eq!(vm.heard(&News::Stale, about(before.image)), Ok(true));
    assert!(vm.age(sent).unwrap() >= MAX_AGE, "none of them confirms it");
    assert_eq!(
        vm.heard(&News::Current, about(before.image)),
        Ok(false),
        "the others are told once a tick"
    );
    assert_eq!(vm.age(sent), Some(Duration::ZERO));
}

#[test]
fn a_new_build_reaches_every_worker_and_the_old_one_serves_until_then() {
    let mut world = World::of(3);
    world.ticks(8);
    for round in 1..6 {
        world.ase.list(round);
        world.ase.rebuild();
        world.ticks(1);
        assert_eq!(world.who_clears(200), [true; 3]);
        world.ticks(4);
        assert_eq!(world.builds(), [Some(world.ase.build()); 3]);
        assert_eq!(world.who_clears(round), [false; 3]);
    }
}

#[test]
fn another_build_of_which_a_worker_that_does_not_call_hears_is_called_for_as_soon() {
    let mut world = World::of(3);
    (world.limits.poll_ticks, world.limits.quiet) = (40, TICK * 39);
    world.ticks(8);
    let others = (0..3).filter(|vm| Some(*vm) != world.holder());
    world.busy = others.take(1).collect();
    world.ticks(50);
    let calls = world.calls;
    for round in 1..4 {
        world.ase.rebuild();
        world.ticks(5);
        assert_eq!(world.builds(), [Some(world.ase.build()); 3]);
        world.ticks(100);
        assert_eq!(world.calls, calls + round, "and not for ever");
    }
}

#[test]
fn without_ase_the_last_image_serves_until_it_is_too_old() {
    let mut world = World::of(2);
    world.ticks(8);
    world.ase.is_up = false;
    world.ticks(50);
    assert_eq!(world.who_clears(7), [true; 2]);
    world.ticks(20);
    assert_eq!(world.judged(0, 7), Err(Asked::Stale));
    assert_eq!(world.judged(1, 7), Err(Asked::Stale));
    world.ase.is_up = true;
    world.ase.rebuild();
    world.ticks(30);
    assert_eq!(world.who_clears(7), [true; 2]);
}

#[test]
fn another_worker_fetches_when_the_one_that_does_has_gone() {
    let mut world = World::of(3);
    world.ticks(8);
    let gone = world.holder().unwrap();
    world.vms.remove(gone);
    world.ase.list(9);
    world.ticks(40);
    assert_eq!(world.who_clears(9), [false; 2]);
    let (now, limits) = (world.now, limits());
    let holder = world.holder().unwrap();
    let posted = world.vms[holder].farewell(world.seen(), world.now);
    world.post(posted.unwrap());
    world.vms.remove(holder);
    world.ase.list(10);
    world.ticks(4);
    assert_eq!(world.who_clears(10), [false]);
    assert!(world.now > now.after(limits.lease / 10));
}

#[test]
fn a_host_that_shares_nothing_leaves_each_worker_to_itself() {
    let mut world = World::of(2);
    world.shares = false;
    world.ticks(4);
    assert_eq!(world.who_clears(7), [true; 2]);
    assert_eq!(world.ase.whole_images, 2);
    world.ase.list(7);
    world.ticks(3);
    assert_eq!(world.who_clears(7), [false; 2]);
}

#[test]
fn a_torn_copy_is_not_used_and_is_shared_again() {
    let mut world = World::of(1);
    world.ticks(3);
    let pieces = world
        .shared
        .iter_mut()
        .filter(|(key, _)| **key != limits().key);
    for (_, piece) in pieces {
        *piece.get_mut(100).unwrap() ^= 1;
    }
    world.vms.push(Local::new(2));
    world.vms.last_mut().unwrap().want();
    world.ticks(1);
    assert_eq!(world.who_clears(7), [true, false]);
    world.ticks(3);
    assert_eq!(world.who_clears(7), [true; 2]);
    assert_eq!(world.torn, 1);
}

#[test]
fn what_is_no_image_or_too_large_takes_the_place_of_none() {
    let mut world = World::of(1);
    world.ticks(4);
    let (vm, limits) = (world.vms.first_mut().unwrap(), limits());
    vm.make_room(10, &limits).unwrap();
    vm.receive(&[7; 1000]);
    assert_eq!(vm.received(world.now, &limits), Err(ImageFailure::Refused));
    assert_eq!(
        vm.make_room(limits.max_image_bytes + 1, &limits),
        Err(ImageFailure::TooLarge)
    );
    assert_eq!(vm.extend(b"nonsense"), Err(ImageFailure::Refused));
    assert_eq!(vm.have(), None, "the next call is for a whole image");
    assert_eq!(world.who_clears(7), [true]);
}

#[test]
fn a_clock_that_is_set_back_or_lost_makes_the_image_stale_and_not_eternal() {
    let mut world = World::of(1);
    world.ticks(6);
    let (request, limits) = (Request::of(7), limits());
    let vm = world.vms.first_mut().unwrap();
    let earlier = Moment::from_nanos(5);
    assert_eq!(request.judged(vm, earlier, &limits), Err(Asked::Stale));
    vm.without_clock();
    assert_eq!(request.judged(vm, world.now, &limits), Err(Asked::Stale));
    world.ticks(4);
    assert_eq!(world.who_clears(7), [true]);
}

#[test]
fn an_age_that_is_not_known_is_past_any_limit_on_the_gauge() {
    let mut world = World::of(1);
    let past_any = u64::from(LONGEST_AGE_MS) + 1;
    assert_eq!(world.vms[0].figures(world.now), [past_any, 0, 0]);
    world.ticks(4);
    world.ase.list(9);
    world.ticks(3);
    let [age, bytes, revision] = world.vms[0].figures(world.now.after(TICK));
    assert!((50..=150).contains(&age), "{age}");
    assert!(bytes > 0 && revision == 1);
    world.vms[0].without_clock();
    assert_eq!(world.vms[0].figures(world.now), [past_any, bytes, 1]);
}

#[test]
fn images_that_grow_a_little_reuse_two_buffers() {
    let mut world = World::of(1);
    world.ticks(6);
    let (vm, limits) = (world.vms.first_mut().unwrap(), limits());
    let size = vm.image().unwrap().as_bytes().len();
    let mut places = Vec::new();
    for _ in 0..4 {
        vm.make_room(size + size / 20, &limits).unwrap();
        places.push(vm.spare.as_ptr());
        let bytes = vm.image().unwrap().as_bytes().to_vec();
        vm.receive(&bytes);
        vm.received(world.now, &limits).unwrap();
    }
    assert_eq!(
        (places.first(), places.get(1)),
        (places.get(2), places.get(3))
    );
}

#[test]
fn a_copy_without_what_was_listed_since_clears_nothing() {
    let mut world = World::of(1);
    world.ticks(4);
    world.ase.list(9);
    world.ticks(3);
    world.ase.is_up = false;
    let board = world.shared.get_mut(&limits().key).unwrap();
    *board.last_mut().unwrap() ^= 1;
    world.vms.push(Local::new(2));
    world.vms.last_mut().unwrap().want();
    world.ticks(1);
    assert_eq!(world.judged(0, 7), Ok(()));
    assert_eq!(world.judged(1, 7), Err(Asked::Stale));
    assert_eq!(world.judged(1, 9), Err(Asked::Stale));
    world.ase.is_up = true;
    world.ticks(40);
    assert_eq!(world.who_clears(7), [true; 2]);
    assert_eq!(world.who_clears(9), [false; 2]);
}

#[test]
fn a_clock_that_is_set_back_costs_moments_and_makes_no_image_younger_than_it_is() {
    let mut world = World::of(3);
    world.ticks(8);
    let before = world.now;
    world.now = Moment::from_nanos(before.nanos() - 3_600_000_000_000);
    world.ticks(40);
    assert_eq!(world.who_clears(7), [true; 3]);
    world.ase.is_up = false;
    world.now = before.after(TICK);
    world.ticks(1);
    for vm in 0..3 {
        assert_eq!(world.judged(vm, 7), Err(Asked::Stale), "{vm}");
    }
}

#[test]
fn a_worker_that_stalls_for_longer_than_a_lease_does_not_share_an_older_image() {
    let mut world = World::of(2);
    world.ticks(8);
    let sleeper = world.holder().unwrap();
    world.ase.rebuild();
    world.way = Way::Late(1);
    world.ticks(2);
    world.stall(sleeper, 80);
    world.way = Way::Arrives;
    world.ase.list_at(9, world.now);
    world.ase.rebuild();
    world.ticks(30);
    let newer = world.ase.build();
    assert_eq!(world.builds()[1 - sleeper], Some(newer));
    world.ticks(49);
    // Its call for news of the newer image is under way when the sleeper wakes.
    world.way = Way::Late(1);
    for tick in 0..12 {
        world.ticks(1);
        assert_eq!(world.who_clears(9), [false; 2], "{tick} ticks");
        assert_eq!(world.builds()[1 - sleeper], Some(newer), "{tick} ticks");
    }
    assert_eq!(world.builds(), [Some(newer); 2]);
    assert_eq!(world.who_clears(7), [true; 2]);
}

#[test]
fn news_of_one_image_does_not_confirm_another_that_was_copied_meanwhile() {
    // One of these finds a call under way.
    for ticks in 1..6 {
        let mut world = World::of(2);
        world.ticks(8);
        let holder = world.holder().unwrap();
        let sleeper = 1 - holder;
        world.stall(sleeper, 1000);
        world.ase.list_at(9, world.now);
        world.ase.rebuild();
        world.ticks(70);
        world.way = Way::Late(1);
        world.ticks(ticks);
        let Seen::Board(board) = world.seen() else {
            panic!("there is a board");
        };
        let mut board = Board::read(board).unwrap();
        board.image_bytes = 0;
        world.post(board.to_bytes());
        world.publish_of(sleeper);
        for tick in 0..4 {
            world.ticks(1);
            assert_eq!(world.who_clears(9), [false; 2], "{ticks}, {tick}");
        }
        world.ticks(6);
        assert_eq!(world.builds()[holder], Some(world.ase.build()));
    }
}

#[test]
fn whoever_copies_another_image_goes_on_from_that_one() {
    let mut world = World::of(2);
    world.ticks(8);
    let other = 1 - world.holder().unwrap();
    world.vms[other].extend(b"nonsense").unwrap_err();
    assert_eq!(world.vms[other].have(), None);
    world.ase.rebuild();
    world.ticks(4);
    assert_eq!(world.vms[other].have(), Some((world.ase.build(), 0)));
}

#[derive(Clone, Debug)]
enum Event {
    Tick(u8),
    Lists(u8),
    Rebuilds,
    Up(bool),
    Answer(Way),
    Stall(u8, u32),
    Busy(bool),
    Spoil(u8, u8),
    Vanish,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (1..5_u8).prop_map(Event::Tick),
        3 => (1..60_u8).prop_map(Event::Lists),
        1 => Just(Event::Rebuilds),
        1 => any::<bool>().prop_map(Event::Up),
        2 => prop_oneof![Just(Way::Arrives), Just(Way::Lost), (0..4_u32).prop_map(Way::Late), Just(Way::Spoiled)].prop_map(Event::Answer),
        1 => any::<bool>().prop_map(Event::Busy),
        1 => any::<(u8, u8)>().prop_map(|(vm, ticks)| Event::Stall(vm, u32::from(ticks))),
        1 => any::<(u8, u8)>().prop_map(|(key, byte)| Event::Spoil(key, byte)),
        1 => Just(Event::Vanish),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn nobody_who_is_listed_for_longer_than_an_image_may_be_old_is_ever_cleared(events in prop::collection::vec(event(), 1..60)) {
        let mut world = World::of(3);
        for event in events {
            match event {
                Event::Tick(ticks) => world.ticks(u32::from(ticks) * 5),
                Event::Lists(client) => world.ase.list_at(client, world.now),
                Event::Rebuilds => world.ase.rebuild(),
                Event::Up(is_up) => world.ase.is_up = is_up,
                Event::Answer(way) => world.way = way,
                Event::Stall(vm, ticks) => world.stall(usize::from(vm) % 3, ticks),
                Event::Busy(is_busy) => world.busy = if is_busy { vec![1, 2] } else { vec![] },
                Event::Spoil(key, place) => world.spoil(key, place),
                Event::Vanish => {
                    let vm = world.vms.remove(0);
                    world.vms.push(Local::new(vm.me + 10));
                    world.vms.last_mut().unwrap().want();
                }
            }
            for (client, since) in world.ase.listed.clone() {
                let known = world.now.since(since) > MAX_AGE;
                let cleared = world.who_clears(client);
                prop_assert!(!(known && cleared.contains(&true)), "client {} is cleared: {:?}", client, cleared);
            }
        }
        world.way = Way::Arrives;
        world.ase.is_up = true;
        world.stalled.clear();
        world.ticks(150);
        prop_assert_eq!(world.who_clears(250), vec![true; 3]);
        prop_assert_eq!(world.builds(), vec![Some(world.ase.build()); 3]);
    }
}
