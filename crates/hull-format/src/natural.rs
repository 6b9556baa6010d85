//! The order of texts with numbers in them.

use std::cmp::Ordering;

/// Compares texts as Docker's client does where it sorts: numbers in them by their value.
pub fn natural(one: &str, other: &str) -> Ordering {
    let (mut left, mut right) = (one.as_bytes(), other.as_bytes());
    while let (Some(a), Some(b)) = (left.first(), right.first()) {
        if !(a.is_ascii_digit() && b.is_ascii_digit()) {
            if a != b {
                return a.cmp(b);
            }
            (left, right) = (&left[1..], &right[1..]);
            continue;
        }
        let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let ((x, rest), (y, others)) = (left.split_at(digits(left)), right.split_at(digits(right)));
        let value = |digits: &[u8]| {
            let zeros = digits.iter().take_while(|byte| **byte == b'0').count();
            (digits.len() - zeros, digits[zeros..].to_vec())
        };
        // Fewer zeros first where the values are the same.
        let order = value(x).cmp(&value(y)).then(x.len().cmp(&y.len()));
        if order != Ordering::Equal {
            return order;
        }
        (left, right) = (rest, others);
    }
    left.len().cmp(&right.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_by_value() {
        let mut names = ["n10", "n9", "n", "-x", "n09", "bridge", "n9a", "N1"];
        names.sort_by(|one, other| natural(one, other));
        assert_eq!(names, ["-x", "N1", "bridge", "n", "n9", "n9a", "n09", "n10"]);
    }
}
