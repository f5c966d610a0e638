//! One pull request from a branch to another: opened where there is none, brought up to date where there is.

use reqwest::StatusCode;

use crate::{Api, Error, Place, body, hosts};

/// What a pull request should be.
#[derive(Clone, Debug)]
pub struct PullRequest<'a> {
    /// The branch with the changes.
    pub source: &'a str,
    /// The branch that they are for.
    pub target: &'a str,
    /// The title of a new one. That of an open one is left to people.
    pub title: &'a str,
    /// Whose part of the text this is: others, and people, may have theirs.
    pub owner: &'a str,
    /// What comes before the lines.
    pub head: &'a str,
    /// The part of the text, line by line, in Markdown.
    pub lines: &'a [String],
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// A new one was opened.
    Opened,
    /// The one that is open got another text.
    Updated,
    /// The one that is open says it all.
    Unchanged,
}

/// The pull request that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ensured {
    /// What was done.
    pub done: Done,
    /// Its address for people.
    pub url: String,
}

impl PullRequest<'_> {
    /// Opens the pull request, or updates the one that is open between the two branches. With `open: false` none is
    /// opened. There is never a second one: no host takes one.
    pub async fn ensure(&self, api: &Api, place: &Place, open: bool) -> Result<Option<Ensured>, Error> {
        if let Some(known) = hosts::find(api, place, self).await? {
            return self.update(api, place, known).await.map(Some);
        }
        if !open {
            return Ok(None);
        }
        let text = self.text(api, "");
        match hosts::open(api, place, self, &text).await {
            Ok(url) => Ok(Some(Ensured { done: Done::Opened, url })),
            // Somebody was faster.
            Err(
                error @ Error::Refused {
                    status: StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY, ..
                },
            ) => match hosts::find(api, place, self).await? {
                Some(known) => self.update(api, place, known).await.map(Some),
                None => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    async fn update(&self, api: &Api, place: &Place, known: hosts::Known) -> Result<Ensured, Error> {
        let text = self.text(api, &known.text);
        if body::same(&text, &known.text) {
            return Ok(Ensured { done: Done::Unchanged, url: known.url });
        }
        hosts::update(api, place, &known, &text).await?;
        Ok(Ensured { done: Done::Updated, url: known.url })
    }

    fn text(&self, api: &Api, before: &str) -> String {
        body::with_section(before, self.owner, self.head, self.lines, api.kind().longest_body())
    }
}
