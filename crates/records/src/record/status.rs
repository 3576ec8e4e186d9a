//! Counts of the upstream's status codes.

use std::collections::BTreeMap;

/// Maximum number of different status codes that one record counts separately.
pub const STATUS_CODES_MAX: usize = 16;

/// The number of upstream answers with each status code; codes beyond [`STATUS_CODES_MAX`] are counted as code 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusCodes(BTreeMap<u16, u32>);

impl StatusCodes {
    /// Counts `times` answers with this code.
    pub fn add(&mut self, code: u16, times: u32) {
        let room = self.0.contains_key(&code) || self.0.len() < STATUS_CODES_MAX;
        let count = self.0.entry(if room { code } else { 0 }).or_default();
        *count = count.saturating_add(times);
    }

    /// The codes in rising order, each with its count.
    pub fn iter(&self) -> impl Iterator<Item = (u16, u32)> + '_ {
        self.0.iter().map(|(&code, &count)| (code, count))
    }

    /// The form in the file: `200x12 429x1`.
    pub(crate) fn encode(&self) -> String {
        let codes: Vec<String> = self.iter().map(|(code, count)| format!("{code}x{count}")).collect();
        codes.join(" ")
    }

    /// Reads the form of [`Self::encode`]; unreadable parts are left out.
    pub(crate) fn decode(text: &str) -> Self {
        let mut codes = Self::default();
        for (code, count) in text.split(' ').filter_map(|pair| pair.split_once('x')) {
            if let (Ok(code), Ok(count)) = (code.parse(), count.parse()) {
                codes.add(code, count);
            }
        }
        codes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_survive_as_text() {
        let mut codes = StatusCodes::default();
        assert_eq!(StatusCodes::decode(&codes.encode()), codes);
        codes.add(429, 1);
        codes.add(200, 11);
        codes.add(200, 1);
        assert_eq!(codes.encode(), "200x12 429x1");
        assert_eq!(StatusCodes::decode("200x12 429x1 x axb 5"), codes);
    }

    #[test]
    fn any_number_of_codes_stays_bounded() {
        let mut codes = StatusCodes::default();
        (100..60_000).for_each(|code| codes.add(code, u32::MAX));
        assert_eq!(codes.iter().count(), STATUS_CODES_MAX + 1);
        assert_eq!(codes.iter().next(), Some((0, u32::MAX)));
    }
}
