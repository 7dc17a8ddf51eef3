//! What a framework has added to the command line is done: the application is built as for a start,
//! the frameworks are asked, and all is disposed of again. Nothing is bound or served.

use super::{
    Lifecycle,
    check::{BeforeHooks, assembled, build_unchecked, check_all, roll_back},
    plan::Plan,
    process::{Process, of_framework},
};
use crate::{
    Error, ErrorKind, Result,
    framework::{CommandAnswer, CommandArgument, CommandCall},
};

/// Runs a command on every framework that has it, one after the other, and joins what they say.
pub(crate) async fn asked(
    plan: Plan,
    argument: &CommandArgument,
    value: Option<String>,
) -> Result<String> {
    let (mut process, mut pending) = assembled(plan, &Lifecycle::default())?;
    let built = if argument.before_hooks {
        check_all(&mut process, &mut pending, BeforeHooks::Run).await
    } else {
        build_unchecked(&mut process, &mut pending).await
    };
    let call = CommandCall { name: argument.name, value };
    let text = match built {
        Ok(()) => ask_all(&mut process, argument, &call).await,
        Err(error) => Err(error),
    };
    roll_back(process, text).await
}

async fn ask_all(
    process: &mut Process,
    argument: &CommandArgument,
    call: &CommandCall,
) -> Result<String> {
    let (mut text, mut done, mut not_here) = (String::new(), false, Vec::new());
    for member in process.members.iter().chain(&process.throughout) {
        if !member.commands().contains(argument) {
            continue;
        }
        let title = format!("framework {}", member.title());
        match member.transport.command(call.clone()).await {
            Ok(CommandAnswer::Done(more)) => {
                done = true;
                text += &more;
            }
            Ok(CommandAnswer::NotHere(error)) => not_here.push(error.context(title)),
            Err(error) => return Err(of_framework(error, title).also(already(&text))),
        }
    }
    if !done {
        Error::all(format!("{} can do nothing", call.name), not_here)?;
    }
    Ok(text)
}

/// What others have done is not to be kept from whoever asked.
fn already(text: &str) -> Option<Error> {
    let text = text.trim_end();
    (!text.is_empty()).then(|| Error::new(ErrorKind::Other, format!("done before that: {text}")))
}
