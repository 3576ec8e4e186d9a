//! Closed lists of named values: each is an enum with stable labels, declared in one place.

/// The text is not a value of the closed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a value of the closed list")]
pub struct UnknownLabel;

/// Declares an enum whose every variant has a documented, stable label.
///
/// The enum gets `ALL`, `as_str`, `Display` and `FromStr`.
#[macro_export]
macro_rules! labels {
    (
        $(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $label:literal;)* }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The stable name that labels, headers, logs and documents use.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $label,)* }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::labels::UnknownLabel;

            fn from_str(text: &str) -> Result<Self, $crate::labels::UnknownLabel> {
                Self::ALL.iter().copied().find(|value| value.as_str() == text).ok_or($crate::labels::UnknownLabel)
            }
        }
    };
}
