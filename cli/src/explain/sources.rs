//! Where an occurrence's records come from: a centre over HTTP, or a gateway's journal.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use davy_journal::JournalReader;
use davy_points::{Timestamp, Value};
use davy_rules::alarm::{self, Transition};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;

use super::{Known, Nothing, Told};

/// Name of the cursor that a gateway keeps of what the centre has confirmed.
const CENTER: &str = "center";
/// Records read from a journal at a time.
const PAGE: usize = 1000;
const ANSWER: Duration = Duration::from_secs(5);
/// No answer of a centre is larger: 100 000 points in its list.
const LARGEST: usize = 64 * 1024 * 1024;

type Http = Client<HttpConnector, Full<Bytes>>;

/// Asks a centre.
pub(super) fn ask(url: &str, occurrence: &str) -> Result<Known, Nothing> {
    let base = url.trim_end_matches('/');
    if !base.starts_with("http://") {
        return Err(Nothing::Unusable(format!(
            "`{url}` is no centre: write http://HOST:PORT, as in http://127.0.0.1:8080"
        )));
    }
    // It stands in the path: nothing else can be an occurrence.
    if occurrence.is_empty() || !occurrence.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(Nothing::Unknown(format!(
            "`{occurrence}` is no occurrence: it is the 26 letters and digits of a record"
        )));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Nothing::Unusable(format!("cannot start: {e}")))?;
    runtime.block_on(async {
        let http: Http = Client::builder(TokioExecutor::new()).build_http();
        let answer = get(&http, &format!("{base}/api/v1/occurrences/{occurrence}")).await?;
        let (status, body) = answer;
        if status == 404 {
            let why = body["error"].as_str().unwrap_or("it is not known there");
            let remedy = body["remedy"].as_str().unwrap_or("");
            return Err(Nothing::Unknown(format!("{why}: {remedy}")));
        }
        if status != 200 {
            let why = body["error"].as_str().unwrap_or("no reason given");
            return Err(Nothing::Unusable(format!(
                "{base} answered {status}: {why}"
            )));
        }
        let mut records = transitions(&body["records"]).ok_or_else(|| {
            Nothing::Unusable(format!("{base} is no centre of this version of davy"))
        })?;
        records.sort_by_key(|t| t.seq);
        let Some(last) = records.last() else {
            return Err(Nothing::Unknown(format!("{occurrence} has no records")));
        };
        let (alarm, tag, owner) = (last.alarm.clone(), last.tag.clone(), last.owner.clone());
        // Both only add to the answer: a centre that does not give them has answered all the same.
        let standing = get(&http, &format!("{base}/api/v1/alarms?all=1"))
            .await
            .ok();
        let newest = standing.and_then(|(_, b)| {
            let found = b["alarms"].as_array()?.iter().find(|a| {
                a["alarm"].as_str() == Some(&alarm) && a["owner"].as_str() == Some(&owner)
            })?;
            serde_json::from_value(found.clone()).ok()
        });
        let points = get(&http, &format!("{base}/api/v1/points")).await.ok();
        let sample = points.and_then(|(_, b)| sample(&b, &tag));
        Ok(Known {
            occurrence: occurrence.to_owned(),
            newest: newest.or_else(|| records.last().cloned()),
            records,
            sample,
            told: Told::Centre,
        })
    })
}

fn transitions(records: &serde_json::Value) -> Option<Vec<Transition>> {
    let list = records.as_array()?;
    list.iter()
        .map(|r| alarm::read(r.to_string().as_bytes()).ok())
        .collect()
}

fn sample(points: &serde_json::Value, tag: &str) -> Option<(Value, u8, Timestamp)> {
    let all = points["points"].as_array()?;
    let point = all.iter().find(|p| p["tag"].as_str() == Some(tag))?;
    let value: Value = serde_json::from_value(point["value"].clone()).ok()?;
    let quality = u8::try_from(point["quality"].as_u64()?).ok()?;
    let at = Timestamp(point["source_time"].as_i64()?);
    Some((value, quality, at))
}

async fn get(http: &Http, url: &str) -> Result<(u16, serde_json::Value), Nothing> {
    let away = |why: &dyn std::fmt::Display| {
        Nothing::Unusable(format!(
            "{url}: {why}. Is the centre running, and is this its address? A gateway's journal can be \
             asked with --data-dir"
        ))
    };
    let uri = url.parse().map_err(|e| away(&e))?;
    let answer = tokio::time::timeout(ANSWER, http.get(uri))
        .await
        .map_err(|_| away(&"no answer within 5 s"))?
        .map_err(|e| away(&e))?;
    let status = answer.status().as_u16();
    let body = Limited::new(answer.into_body(), LARGEST).collect();
    let body = tokio::time::timeout(ANSWER, body)
        .await
        .map_err(|_| away(&"the answer did not end within 5 s"))?
        .map_err(|e| away(&e))?
        .to_bytes();
    Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
}

/// Reads a gateway's journal, also while it runs.
pub(super) fn read(dir: &Path, occurrence: &str) -> Result<Known, Nothing> {
    let unusable = |e: &dyn std::fmt::Display| Nothing::Unusable(e.to_string());
    let reader = JournalReader::open(dir).map_err(|e| unusable(&e))?;
    let told = Told::UpTo(reader.cursor(CENTER).map_err(|e| unusable(&e))?);
    let mut records: Vec<Transition> = Vec::new();
    let mut newest: Option<Transition> = None;
    let mut after = 0;
    loop {
        let page = reader.read_json(after, PAGE).map_err(|e| unusable(&e))?;
        let Some((last, _)) = page.last() else { break };
        after = *last;
        for (seq, json) in &page {
            let t: Transition = alarm::read(json)
                .map_err(|e| Nothing::Unusable(format!("{} record {seq}: {e}", dir.display())))?;
            let of_alarm = records.first().is_some_and(|first| first.alarm == t.alarm);
            let of_it = *t.occurrence == *occurrence;
            if of_it || of_alarm {
                newest = Some(t.clone());
            }
            if of_it {
                records.push(t);
            }
        }
    }
    if records.is_empty() || occurrence.is_empty() {
        return Err(Nothing::Unknown(format!(
            "no alarm in {} has or had the occurrence `{occurrence}`: `davy journal export --data-dir {}` \
             lists all of them",
            dir.display(),
            dir.display()
        )));
    }
    Ok(Known {
        occurrence: occurrence.to_owned(),
        records,
        newest,
        sample: None,
        told,
    })
}
