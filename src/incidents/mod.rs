//! Incidents as commands, the page and the API show them: [`document`] is the JSON form, [`words`] the form for people.

pub(crate) mod document;
pub(crate) mod words;
