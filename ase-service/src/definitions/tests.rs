//! A folder while files come, change and go.

use super::*;

struct World {
    place: tempfile::TempDir,
    folder: Folder,
    registry: Registry,
}

impl World {
    fn new(files: &[(&str, &str)]) -> Self {
        let place = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(place.path().join(name), text).unwrap();
        }
        let (folder, definitions) = Folder::open(place.path()).unwrap();
        Self {
            place,
            folder,
            registry: definitions.registry,
        }
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.place.path().join(name), text).unwrap();
    }

    fn remove(&self, name: &str) {
        std::fs::remove_file(self.place.path().join(name)).unwrap();
    }

    /// As many looks as a change may need, and the faults that they name.
    fn look(&mut self) -> Vec<String> {
        let mut faults = Vec::new();
        for _ in 0..4 {
            let change = self.folder.look_again().unwrap();
            faults.extend(change.faults);
            self.registry = change
                .registry
                .unwrap_or(std::mem::take(&mut self.registry));
        }
        let folder = format!("{}/", self.place.path().display());
        faults
            .iter()
            .map(|fault| fault.replace(&folder, ""))
            .collect()
    }

    fn apis(&self) -> Vec<String> {
        let shown = |api: &ApiDefinition| format!("{} {}", api.id(), api.base_path());
        self.registry.iter().map(shown).collect()
    }
}

fn api(url: &str) -> String {
    format!(r#"{{"api_metadata": {{"url": "{url}", "hostname": "*"}}}}"#)
}

#[test]
fn a_good_file_counts_at_the_first_look_and_a_faulty_one_leaves_the_version_before() {
    let mut world = World::new(&[("shop.json", &api("/shop"))]);
    world.write("shop.json", &api("/store"));
    world.write("pay.json", &api("/pay"));
    world.registry = world.folder.look_again().unwrap().registry.unwrap();
    assert_eq!(world.apis(), ["pay /pay", "shop /store"]);
    world.write(
        "shop.json",
        r#"{"api_metadata": {"url": "x", "hostname": ""}}"#,
    );
    let faults = world.look();
    assert_eq!(
        faults,
        [
            "shop.json: api_metadata.hostname: \"\" is not a host name",
            "shop.json: api_metadata.url: \"x\" is not a path that begins with '/'"
        ]
    );
    assert_eq!(world.apis(), ["pay /pay", "shop /store"]);
    assert!(world.look().is_empty(), "a fault is named once");
    world.write("shop.json", &api("/shop"));
    assert!(world.look().is_empty());
    assert_eq!(world.apis(), ["pay /pay", "shop /shop"]);
}

#[test]
fn a_file_that_is_just_being_written_is_neither_faulty_nor_gone() {
    let mut world = World::new(&[("shop.json", &api("/shop"))]);
    world.write("shop.json", "{\"api_meta");
    assert!(world.folder.look_again().unwrap().faults.is_empty());
    world.remove("shop.json");
    assert!(world.folder.look_again().unwrap().registry.is_none());
    world.write("shop.json", &api("/store"));
    assert!(world.look().is_empty());
    assert_eq!(world.apis(), ["shop /store"]);
}

#[test]
fn a_removed_file_takes_its_api_along() {
    let mut world = World::new(&[("shop.json", &api("/shop")), ("pay.json", &api("/pay"))]);
    world.remove("shop.json");
    assert!(world.look().is_empty());
    assert_eq!(world.apis(), ["pay /pay"]);
    world.remove("pay.json");
    world.look();
    assert!(world.apis().is_empty());
}

#[test]
fn who_comes_later_to_a_place_waits_until_it_is_free() {
    let mut world = World::new(&[("shop.json", &api("/shop")), ("b.json", &api("/b"))]);
    world.write("a.json", &api("/shop"));
    world.write("b.json", &api("/shop"));
    let taken = "hostname * and url /shop are those of \"shop\" already";
    assert_eq!(
        world.look(),
        [format!("a.json: {taken}"), format!("b.json: {taken}")]
    );
    assert_eq!(world.apis(), ["b /b", "shop /shop"]);
    world.remove("shop.json");
    let taken = "hostname * and url /shop are those of \"a\" already";
    assert_eq!(world.look(), [format!("b.json: {taken}")]);
    assert_eq!(world.apis(), ["a /shop", "b /b"]);
}

#[test]
fn two_files_may_change_places_at_once() {
    let mut world = World::new(&[("a.json", &api("/a")), ("b.json", &api("/b"))]);
    world.write("a.json", &api("/b"));
    world.write("b.json", &api("/a"));
    assert!(world.look().is_empty());
    assert_eq!(world.apis(), ["a /b", "b /a"]);
}

#[test]
fn a_folder_that_cannot_be_read_leaves_everything_as_it_was() {
    let mut world = World::new(&[("shop.json", &api("/shop"))]);
    let away = world.place.path().with_extension("away");
    std::fs::rename(world.place.path(), &away).unwrap();
    assert!(world.folder.look_again().is_err());
    std::fs::rename(&away, world.place.path()).unwrap();
    assert!(world.look().is_empty());
    assert_eq!(world.apis(), ["shop /shop"]);
}
