//! Symbolic links that are followed, and how far (P8).

use super::*;

#[tokio::test]
async fn links_lead_below_the_root_only_either_way() {
    // SEMANTICS.md 17
    let world = World::new();
    for (target, name) in [
        ("a/b", "link-to-folder"),
        ("a/b/deep.txt", "link-to-file"),
        ("../top.txt", "a/back"),
        ("../../root/top.txt", "a/out-and-back"),
        ("b/../../top.txt", "a/about"),
        ("./b//./deep.txt", "a/dots"),
        ("top.txt/", "not-a-folder"),
        ("a/", "a-folder"),
        ("link-to-folder/deep.txt", "link-over-link"),
        ("missing", "dangling"),
        (".hidden", "to-hidden"),
        ("fifo", "to-fifo"),
        ("/top.txt", "rooted"),
        ("../top.txt", "over-the-top"),
    ] {
        unix::symlink(target, world.root.join(name)).expect("a link");
    }
    let resolvers = [Resolver::new(Symlinks::BeneathRoot), Resolver::stepwise(Symlinks::BeneathRoot)];
    for disk in resolvers.map(|resolver| world.disk(resolver)) {
        for (name, expected) in [
            ("top.txt", Ok("top")),
            ("inside", Ok("top")),
            ("link-to-file", Ok("deep")),
            ("link-to-folder/deep.txt", Ok("deep")),
            ("folder-link/b/deep.txt", Ok("deep")),
            ("link-over-link", Ok("deep")),
            ("a/back", Ok("top")),
            ("a/about", Ok("top")),
            ("a/dots", Ok("deep")),
            // Only the name in the request is hidden; whoever links to a file shows it.
            ("to-hidden", Ok("h")),
            ("a/out-and-back", Err("not_found")),
            ("up", Err("not_found")),
            ("absolute", Err("not_found")),
            ("rooted", Err("not_found")),
            ("over-the-top", Err("not_found")),
            ("parent/secret", Err("not_found")),
            ("parent/root/top.txt", Err("not_found")),
            ("magic/etc/passwd", Err("not_found")),
            ("loop", Err("not_found")),
            ("loop/x", Err("not_found")),
            ("not-a-folder", Err("not_found")),
            ("a-folder", Err("not_found")),
            ("link-to-folder", Err("not_found")),
            ("top.txt/x", Err("not_found")),
            ("inside/x", Err("not_found")),
            ("dangling", Err("not_found")),
            ("to-fifo", Err("not_found")),
            ("fifo", Err("not_found")),
            ("none", Err("not_found")),
        ] {
            // The second time, it may be open already.
            for time in ["first", "second"] {
                let got = content(&disk, name).await;
                assert_eq!(got.as_deref(), expected.as_ref().copied(), "{name}, the {time} time");
            }
        }
    }
}
