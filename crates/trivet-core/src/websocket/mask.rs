//! Unmasking (RFC 6455 section 5.3).

/// Apply `mask` to `data`, and turn it so that it fits what comes behind.
pub(super) fn apply(data: &mut [u8], mask: &mut [u8; 4]) {
    let [a, b, c, d] = *mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let mut words = data.chunks_exact_mut(8);
    for word in &mut words {
        if let Ok(bytes) = <[u8; 8]>::try_from(&*word) {
            word.copy_from_slice(&(u64::from_ne_bytes(bytes) ^ wide).to_ne_bytes());
        }
    }
    let rest = words.into_remainder();
    for (byte, key) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
    mask.rotate_left(rest.len() % 4);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_split_unmasks_as_the_definition_says(
            data: Vec<u8>, mask: [u8; 4], at in 0..64usize
        ) {
            let plain: Vec<u8> =
                data.iter().enumerate().map(|(i, byte)| byte ^ mask[i % 4]).collect();
            let mut split = data.clone();
            let mut key = mask;
            let (left, right) = split.split_at_mut(at.min(data.len()));
            apply(left, &mut key);
            apply(right, &mut key);
            prop_assert_eq!(split, plain);
        }
    }
}
