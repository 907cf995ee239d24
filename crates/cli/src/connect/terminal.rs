//! The terminal: the user edits a line at a prompt while messages appear above it.
//!
//! Reading from a terminal blocks, and so does writing to a slow one. One thread does both and
//! checks regularly for texts to print. The terminal stays raw as long as there is a prompt, so no
//! typed character is lost between two lines.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc as threads;
use std::thread;
use std::time::Duration;

use crossterm::event::{self, Event};
use crossterm::terminal::{disable_raw_mode, enable_raw_mode};
use tokio::sync::{mpsc, oneshot};

use crate::connect::completing::{Completion, complete};
use crate::connect::history::History;
use crate::connect::input::Input;
use crate::connect::keys::Key;
use crate::connect::line::{Line, Reach};
use crate::connect::printer::Paper;
use crate::connect::prompt::Prompt;
use crate::connect::suspended::{Continued, IS_POSSIBLE, suspend};
use crate::interrupt::Interrupts;
use crate::screen::width;

/// How often the thread checks for texts: a message is delayed by at most this.
const GLANCE: Duration = Duration::from_millis(20);

/// How often to check whether the program went on after it was suspended. If it was not suspended at all,
/// as in a shell without job control, it goes on by itself after so many checks.
const CHECKS: usize = 50;

/// How many texts can be queued.
const WAITING: usize = 256;

/// Marks pasted text, to tell it from typed text.
const BRACKETED_PASTE: [&str; 2] = ["\u{1b}[?2004h", "\u{1b}[?2004l"];

/// Rings if the server takes no more for now; the line stays.
const BELL: &str = "\u{7}";

/// Stands in place of the prompt once nothing can be sent any more.
const CLOSING: &str = "closing; press Ctrl-C again to end at once ";

/// A terminal with a prompt.
pub(crate) struct Terminal {
    end: Arc<AtomicBool>,
    is_done: oneshot::Receiver<()>,
}

impl Terminal {
    /// Shows the prompt, and sends typed lines to `input`. Returns what prints above it. A second
    /// interrupt while the connection closes ends the program at once.
    pub(crate) fn open(
        input: mpsc::Sender<Input>,
        interrupts: Interrupts,
    ) -> io::Result<(Self, impl Paper)> {
        let (above, texts) = threads::sync_channel(WAITING);
        let end = Arc::new(AtomicBool::new(false));
        let (done, is_done) = oneshot::channel();
        let continued = Continued::listen()?;
        enable_raw_mode()?;
        thread::spawn({
            let end = end.clone();
            move || {
                let editor = Editor {
                    line: Line::default(),
                    history: History::default(),
                    prompt: Prompt::default(),
                    input: Some(input),
                    search: None,
                    interrupts,
                    continued,
                    times_continued: 0,
                };
                // If the terminal is gone, there is nowhere to report an error.
                let _ = editor.run(&texts, &end);
                let _ = disable_raw_mode();
                // The receiver may be gone.
                let _ = done.send(());
            }
        });
        Ok((Self { end, is_done }, Above(above)))
    }

    /// Removes the prompt and the line being edited.
    pub(crate) async fn close(self) {
        self.end.store(true, Ordering::SeqCst);
        let _ = self.is_done.await;
    }
}

/// The state of the thread.
struct Editor {
    line: Line,
    history: History,
    prompt: Prompt,
    /// `None` once the user has ended the input.
    input: Option<mpsc::Sender<Input>>,
    /// What is searched for among earlier lines.
    search: Option<Search>,
    interrupts: Interrupts,
    continued: Continued,
    /// How often the terminal was set up again for it.
    times_continued: usize,
}

/// A search among earlier lines.
#[derive(Debug, Default)]
struct Search {
    text: String,
    /// How many lines back the found line is.
    back: usize,
    /// The line that was being written.
    draft: String,
}

impl Editor {
    fn run(mut self, texts: &threads::Receiver<String>, end: &AtomicBool) -> io::Result<()> {
        put(BRACKETED_PASTE[0])?;
        put(&self.prompt.show(&self.line, width()))?;
        // Texts printed before the end are shown first.
        while !end.load(Ordering::SeqCst) {
            if self.continued.count() != self.times_continued {
                self.go_on()?;
            }
            self.print(texts)?;
            let events = self.events()?;
            if events.is_empty() {
                continue;
            }
            for event in events {
                self.handle(event)?;
            }
            put(&self.prompt.show(&self.line, width()))?;
        }
        self.print(texts)?;
        put(&self.prompt.clear())?;
        put(BRACKETED_PASTE[1])
    }

    fn print(&mut self, texts: &threads::Receiver<String>) -> io::Result<()> {
        let texts: String = texts.try_iter().collect();
        if texts.is_empty() {
            return Ok(());
        }
        put(&self.prompt.above(&texts, &self.line, width()))
    }

    /// Waits briefly for keys or pasted text.
    fn events(&mut self) -> io::Result<Vec<Event>> {
        let mut events = Vec::new();
        let mut patience = GLANCE;
        loop {
            let event = match event::poll(patience) {
                Ok(false) => return Ok(events),
                Ok(true) => event::read(),
                Err(error) => Err(error),
            };
            match event {
                Ok(event) => events.push(event),
                Err(error) => {
                    let reason = format!("can't read from the terminal: {error}");
                    if let Some(input) = self.input.take() {
                        let _ = input.try_send(Input::Failed(reason));
                    }
                    return Err(error);
                }
            }
            patience = Duration::ZERO;
        }
    }

    fn handle(&mut self, event: Event) -> io::Result<()> {
        match event {
            Event::Key(event) => Key::of(event).map_or(Ok(()), |key| self.press(key)),
            Event::Paste(text) => {
                self.line.insert(&text.replace("\r\n", "\n").replace('\r', "\n"));
                Ok(())
            }
            Event::Resize(_, _) => {
                self.prompt.resize(&self.line, width());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn press(&mut self, key: Key) -> io::Result<()> {
        // Nothing is sent any more, so nothing can be typed.
        if self.interrupts.is_asked() && !matches!(key, Key::Interrupt | Key::Suspend) {
            return Ok(());
        }
        if let Some(search) = self.search.take() {
            let found = self.search(search, &key)?;
            let label = self.search.as_ref().map(|search| format!("search {:?}: ", search.text));
            self.prompt.set_label(label);
            if found {
                return Ok(());
            }
        }
        match key {
            Key::Search => {
                let draft = self.line.text().to_owned();
                self.search = Some(Search { draft, ..Search::default() });
                self.prompt.set_label(Some("search: ".to_owned()));
            }
            Key::Cancel => {}
            Key::Insert(character) => self.line.insert(character.encode_utf8(&mut [0; 4])),
            Key::Left(reach) => self.line.go_left(reach),
            Key::Right(reach) => self.line.go_right(reach),
            Key::DeleteLeft(reach) => self.line.delete_left(reach),
            Key::DeleteRight(reach) => self.line.delete_right(reach),
            Key::Paste => self.line.paste(),
            Key::Complete => match complete(self.line.before()) {
                Completion::Add(text) => self.line.insert(&text),
                Completion::Unknown => put(BELL)?,
                Completion::Nothing => self.line.insert("\t"),
            },
            Key::Earlier => {
                if let Some(line) = self.history.earlier(self.line.text()) {
                    self.line.set(line);
                }
            }
            Key::Later => {
                if let Some(line) = self.history.later() {
                    self.line.set(line);
                }
            }
            Key::ClearScreen => put("\u{1b}[2J\u{1b}[H")?,
            Key::EndOrDelete if !self.line.is_empty() => {
                self.line.delete_right(Reach::Character);
            }
            Key::EndOrDelete => {
                if self.input.take().is_none() {
                    self.interrupts.insist();
                }
            }
            // The input has ended, so the connection is closing already.
            Key::Interrupt if self.input.is_none() => self.interrupts.insist(),
            Key::Interrupt if self.interrupts.is_asked() => self.interrupts.ask(),
            Key::Interrupt => {
                self.interrupts.ask();
                // A server that sends much may take long to answer.
                self.line.take();
                self.prompt.set_label(Some(CLOSING.to_owned()));
            }
            Key::Suspend if IS_POSSIBLE => self.suspend()?,
            Key::Suspend => {}
            Key::Enter => return self.enter(),
        }
        Ok(())
    }

    /// Presses a key during a search. Returns whether it was meant for the search; otherwise, the found line
    /// stays and the search is over.
    fn search(&mut self, mut search: Search, key: &Key) -> io::Result<bool> {
        let from = match key {
            Key::Insert(character) => {
                search.text.push(*character);
                search.back
            }
            Key::Search => search.back + 1,
            Key::DeleteLeft(_) => {
                search.text.pop();
                0
            }
            Key::Cancel => {
                self.line.set(&search.draft);
                return Ok(true);
            }
            _ => return Ok(false),
        };
        match self.history.find(&search.text, from) {
            Some((back, line)) => {
                search.back = back;
                self.line.set(line);
            }
            None => put(BELL)?,
        }
        self.search = Some(search);
        Ok(true)
    }

    /// Gives the terminal back to the shell until it continues the program.
    fn suspend(&mut self) -> io::Result<()> {
        put(&self.prompt.clear())?;
        put(BRACKETED_PASTE[1])?;
        disable_raw_mode()?;
        suspend()?;
        for _ in 0..CHECKS {
            if self.continued.count() != self.times_continued {
                break;
            }
            thread::sleep(GLANCE);
        }
        self.go_on()
    }

    /// Sets the terminal up again, since the shell has changed it, and shows the line again.
    fn go_on(&mut self) -> io::Result<()> {
        self.times_continued = self.continued.count();
        // The mode is set again only if it was taken back.
        disable_raw_mode()?;
        enable_raw_mode()?;
        self.prompt = Prompt::default();
        put(BRACKETED_PASTE[0])?;
        put(&self.prompt.show(&self.line, width()))
    }

    fn enter(&mut self) -> io::Result<()> {
        // While the connection closes, lines are not sent.
        let Some(input) = self.input.as_ref().filter(|_| !self.interrupts.is_asked()) else {
            return Ok(());
        };
        // Most likely a slip; `--message ""` sends an empty message.
        if self.line.is_empty() {
            return Ok(());
        }
        let Ok(room) = input.try_reserve() else { return put(BELL) };
        put(&self.prompt.enter(&self.line, width()))?;
        let line = self.line.take();
        self.history.add(&line);
        room.send(Input::Line(line));
        Ok(())
    }
}

fn put(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Prints above the prompt.
struct Above(threads::SyncSender<String>);

impl Paper for Above {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let text = String::from_utf8_lossy(bytes).into_owned();
        // Without a prompt, prints directly.
        self.0.send(text).or_else(|text| put(&text.0))
    }

    /// The thread shows queued texts, at the latest when the prompt goes.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn editor(interrupts: &Interrupts) -> (Editor, mpsc::Receiver<Input>) {
        let (input, inputs) = mpsc::channel(8);
        let editor = Editor {
            line: Line::default(),
            history: History::default(),
            prompt: Prompt::default(),
            input: Some(input),
            search: None,
            interrupts: interrupts.clone(),
            continued: Continued::default(),
            times_continued: 0,
        };
        (editor, inputs)
    }

    #[tokio::test]
    async fn control_c_is_what_the_signal_is() {
        let mut interrupts = Interrupts::listen().unwrap();
        let (mut editor, mut inputs) = editor(&interrupts);
        editor.press(Key::Insert('a')).unwrap();
        editor.press(Key::Interrupt).unwrap();
        // The input has not ended: that would be a wish to close, and no interrupt.
        assert!(inputs.try_recv().is_err_and(|error| error == mpsc::error::TryRecvError::Empty));
        assert!(interrupts.is_asked());
        interrupts.first().await;
        editor.press(Key::Enter).unwrap();
        assert!(inputs.try_recv().is_err(), "nothing is sent any more");
        editor.press(Key::Interrupt).unwrap();
        interrupts.second().await;
    }

    #[tokio::test]
    async fn earlier_lines_are_searched() {
        let (mut editor, mut inputs) = editor(&Interrupts::listen().unwrap());
        for line in ["subscribe a", "ping", "subscribe b"] {
            editor.line.set(line);
            editor.press(Key::Enter).unwrap();
        }
        let mut press = |keys: &[Key]| {
            keys.iter().for_each(|key| editor.press(key.clone()).unwrap());
            editor.line.text().to_owned()
        };
        let [s, u] = ['s', 'u'].map(Key::Insert);
        assert_eq!(press(&[Key::Insert('x'), Key::Search, s.clone(), u.clone()]), "subscribe b");
        assert_eq!(press(&[Key::Search]), "subscribe a");
        // Nothing is before that.
        assert_eq!(press(&[Key::Search]), "subscribe a");
        assert_eq!(press(&[Key::Cancel]), "x");
        // Any other key takes the line.
        assert_eq!(
            press(&[Key::Search, s, u, Key::Search, Key::Left(Reach::All), Key::Insert('/')]),
            "/subscribe a"
        );
        press(&[Key::Search, Key::Insert('p'), Key::Enter]);
        drop(editor);
        let mut last = None;
        while let Some(Input::Line(line)) = inputs.recv().await {
            last = Some(line);
        }
        assert_eq!(last.as_deref(), Some("ping"));
    }

    #[tokio::test]
    async fn control_d_ends_the_input_and_control_c_then_waits_no_longer() {
        let mut interrupts = Interrupts::listen().unwrap();
        let (mut editor, mut inputs) = editor(&interrupts);
        editor.press(Key::EndOrDelete).unwrap();
        assert!(inputs.recv().await.is_none() && !interrupts.is_asked());
        editor.press(Key::Interrupt).unwrap();
        interrupts.second().await;
    }
}
