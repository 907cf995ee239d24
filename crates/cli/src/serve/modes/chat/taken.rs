//! The names of the people in a room, of which no two are the same but for case.

use std::collections::{BTreeMap, HashMap, HashSet};

/// The names in a room. A name is found without looking at the others.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// By the ids of connections.
    names: BTreeMap<u64, String>,
    /// In lower case.
    taken: HashSet<String>,
    /// The number after the last one given, by the wanted name in lower case. Kept while somebody has a
    /// number of that name.
    next: HashMap<String, Numbers>,
    /// The wanted name, for those with a number.
    numbered: HashMap<u64, String>,
}

#[derive(Debug)]
struct Numbers {
    next: u64,
    people: u64,
}

impl Names {
    /// Adds somebody with this name, or with that and a number if it is taken. Returns the name.
    pub(crate) fn add(&mut self, id: u64, wanted: &str) -> String {
        let folded = wanted.to_lowercase();
        let name = match self.is_taken(&folded) {
            false => wanted.to_owned(),
            true => self.number(id, wanted, folded),
        };
        self.taken.insert(name.to_lowercase());
        self.names.insert(id, name.clone());
        name
    }

    /// The wanted name with the next number. Somebody may have chosen a number as a part of the name.
    fn number(&mut self, id: u64, wanted: &str, folded: String) -> String {
        let mut next = self.next.get(&folded).map_or(2, |numbers| numbers.next);
        while self.is_taken(&format!("{folded}-{next}")) {
            next += 1;
        }
        let numbers = self.next.entry(folded.clone()).or_insert(Numbers { next, people: 0 });
        numbers.next = next + 1;
        numbers.people += 1;
        self.numbered.insert(id, folded);
        format!("{wanted}-{next}")
    }

    /// Removes somebody, and returns the name.
    pub(crate) fn remove(&mut self, id: u64) -> Option<String> {
        let name = self.names.remove(&id)?;
        self.free(id, &name);
        Some(name)
    }

    /// Changes a name, and returns the one before, if there was one.
    pub(crate) fn rename(&mut self, id: u64, to: &str) -> Result<Option<String>, String> {
        let folded = to.to_lowercase();
        let Some(from) = self.names.get(&id).cloned() else { return Ok(None) };
        // The same name in another case is free.
        if from.to_lowercase() != folded && self.is_taken(&folded) {
            return Err(format!("the name {to} is taken"));
        }
        self.free(id, &from);
        self.taken.insert(folded);
        self.names.insert(id, to.to_owned());
        Ok(Some(from))
    }

    pub(crate) fn get(&self, id: u64) -> Option<&str> {
        self.names.get(&id).map(String::as_str)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &str> {
        self.names.values().map(String::as_str)
    }

    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    fn free(&mut self, id: u64, name: &str) {
        self.taken.remove(&name.to_lowercase());
        let Some(wanted) = self.numbered.remove(&id) else { return };
        if let Some(numbers) = self.next.get_mut(&wanted) {
            numbers.people -= 1;
            if numbers.people == 0 {
                self.next.remove(&wanted);
            }
        }
    }

    fn is_taken(&self, folded: &str) -> bool {
        self.taken.contains(folded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_taken_gets_a_number() {
        let mut names = Names::default();
        for (id, wanted, expected) in [
            (1, "Ada", "Ada"),
            (2, "ada", "ada-2"),
            (3, "ADA", "ADA-3"),
            (4, "bob", "bob"),
            (5, "ada-4", "ada-4"),
            (6, "Ada", "Ada-5"),
            (7, "ada-2", "ada-2-2"),
        ] {
            assert_eq!(names.add(id, wanted), expected);
        }
        assert!(names.rename(1, "BOB").unwrap_err().contains("BOB is taken"));
        assert_eq!(names.rename(4, "BOB").unwrap().as_deref(), Some("bob"));
        assert_eq!(names.get(4), Some("BOB"));
        assert_eq!(names.rename(8, "eve"), Ok(None));
        assert_eq!(names.all().collect::<Vec<_>>()[..2], ["Ada", "ada-2"]);
    }

    #[test]
    fn a_name_is_free_once_its_owner_has_gone() {
        let mut names = Names::default();
        for id in 1..=3 {
            names.add(id, "guest");
        }
        assert_eq!(names.remove(1).as_deref(), Some("guest"));
        assert_eq!(names.add(4, "Guest"), "Guest");
        // Numbers go on while there are any, and begin again after that.
        assert_eq!(names.add(5, "guest"), "guest-4");
        for id in [2, 3] {
            names.remove(id);
        }
        assert_eq!(names.rename(5, "ada").unwrap().as_deref(), Some("guest-4"));
        assert_eq!(names.add(6, "guest"), "guest-2");
        assert_eq!(names.remove(7), None);
        assert_eq!(names.len(), 3);
        for id in [4, 5, 6] {
            names.remove(id);
        }
        assert!(names.is_empty() && names.taken.is_empty());
        assert!(names.next.is_empty() && names.numbered.is_empty());
    }

    #[test]
    fn two_thousand_without_a_name_look_at_one_number_each() {
        let mut names = Names::default();
        assert_eq!(names.add(1, "guest"), "guest");
        for id in 2..=2_000 {
            // Each looks at one number, the first that it tries.
            let first = names.next.get("guest").map_or(2, |numbers| numbers.next);
            assert_eq!(names.add(id, "guest"), format!("guest-{first}"));
            assert_eq!(first, id);
        }
    }
}
