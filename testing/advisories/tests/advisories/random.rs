//! Numbers that an attacker must not guess. They come from the system's generator; a test can show
//! only that none repeats, nor the step between two.

use std::collections::HashSet;

use tokio::io::{AsyncReadExt as _, duplex};
use towline::{Client, Config};
use towline_kit::hear;

use crate::attacker::{Attacker, head};

#[tokio::test(start_paused = true)]
async fn ghsa_w67g_5rqw_f597_masks_do_not_repeat() {
    let (mut masks, mut steps) = (HashSet::new(), HashSet::new());
    let mut last = 0_u32;
    for _ in 0..10 {
        let (mut attacker, victim) = Attacker::server(Config::client()).await;
        for _ in 0..100 {
            victim.send("the same").await.unwrap();
            // Two bytes of header, four of the mask, and the payload.
            let mut frame = [0; 14];
            attacker.stream.read_exact(&mut frame).await.unwrap();
            let mask = u32::from_be_bytes(hear(&frame)[0].header.mask.unwrap());
            masks.insert(mask);
            steps.insert(mask.wrapping_sub(last));
            last = mask;
        }
    }
    // Of a thousand random numbers of 32 bits, hardly ever are two the same.
    assert!(masks.len() >= 998 && steps.len() >= 998, "{} {}", masks.len(), steps.len());
}

#[tokio::test(start_paused = true)]
async fn cve_2017_16031_keys_do_not_repeat() {
    let mut keys = HashSet::new();
    for _ in 0..200 {
        let (near, mut far) = duplex(4 << 10);
        let connecting = tokio::spawn(Client::new().connect_over(near, "ws://h/"));
        let request = head(&mut far).await;
        let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
        assert_eq!(key.unwrap().len(), 24);
        keys.insert(key.unwrap().to_owned());
        drop(far);
        connecting.await.unwrap().unwrap_err();
    }
    assert_eq!(keys.len(), 200);
}
