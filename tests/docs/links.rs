//! Does every link of every page lead somewhere?
//!
//! Relative links to files that exist, and anchors to headings as GitHub names them. Links to other sites are not followed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::page::root;

/// What a page links to, and what can be linked to in it.
#[derive(Default)]
struct Page {
    links: Vec<String>,
    anchors: BTreeSet<String>,
}

fn read(path: &Path) -> Page {
    let text = std::fs::read_to_string(path).unwrap();
    let mut page = Page::default();
    let mut heading: Option<String> = None;
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for event in Parser::new_ext(&text, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                page.links.push(dest_url.into_string());
            }
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::Text(text) | Event::Code(text) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&text);
                }
            }
            Event::End(TagEnd::Heading(_)) => {
                let slug = slug(&heading.take().unwrap());
                let count = seen.entry(slug.clone()).or_default();
                page.anchors.insert(match *count {
                    0 => slug,
                    count => format!("{slug}-{count}"),
                });
                *count += 1;
            }
            _ => {}
        }
    }
    page
}

/// How GitHub calls a heading: lower case, hyphens for blanks, without punctuation.
fn slug(heading: &str) -> String {
    let kept = heading
        .chars()
        .filter(|char| char.is_alphanumeric() || matches!(char, ' ' | '-' | '_'));
    kept.map(|char| {
        if char == ' ' {
            '-'
        } else {
            char.to_ascii_lowercase()
        }
    })
    .collect()
}

pub(crate) fn pages() -> Vec<PathBuf> {
    let mut pages = vec![];
    let mut folders = vec![root().join("docs"), root().join("deploy")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| ext == "md") {
                pages.push(path);
            }
        }
    }
    pages.extend(["README.md", "ARCHITECTURE.md", "CHANGELOG.md"].map(|name| root().join(name)));
    pages
}

/// What is wrong with a link of this page, if anything is.
fn fault(from: &Path, link: &str) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (file, anchor) = link
        .split_once('#')
        .map_or((link, None), |(file, anchor)| (file, Some(anchor)));
    let target = match file {
        "" => from.to_owned(),
        file => from.parent().unwrap().join(file),
    };
    let Ok(target) = target.canonicalize() else {
        return Some("there is no such file".to_owned());
    };
    if !target.starts_with(root().canonicalize().unwrap()) {
        return Some("leads out of the repository".to_owned());
    }
    let anchor = anchor?;
    let has_it = target.extension().is_some_and(|ext| ext == "md") && read(&target).anchors.contains(anchor);
    (!has_it).then(|| "there is no such heading".to_owned())
}

#[test]
fn every_relative_link_and_every_anchor_leads_somewhere() {
    let (mut faults, mut count) = (Vec::new(), 0);
    for page in pages() {
        for link in read(&page).links {
            count += 1;
            let name = page.strip_prefix(root()).unwrap().display();
            faults.extend(fault(&page, &link).map(|fault| format!("{name}: {link}: {fault}")));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(count > 50, "{count}");
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let page = root().join("docs/runbook.md");
    assert_eq!(fault(&page, "../README.md#the-guard"), None);
    assert_eq!(fault(&page, "#resync_loop"), None);
    assert!(fault(&page, "../README.md#the-gaurd").is_some());
    assert!(fault(&page, "nowhere.md").is_some());
    assert!(fault(&page, "../../outside").is_some());
}

#[test]
fn the_index_names_every_page() {
    let index = root().join("docs/README.md");
    let linked: BTreeSet<PathBuf> = read(&index)
        .links
        .iter()
        .filter_map(|link| {
            root()
                .join("docs")
                .join(link.split('#').next().unwrap())
                .canonicalize()
                .ok()
        })
        .collect();
    for page in pages() {
        let is_of_docs = page.starts_with(root().join("docs")) && page != index;
        assert!(
            !is_of_docs || linked.contains(&page.canonicalize().unwrap()),
            "{}",
            page.display()
        );
    }
}
