"""Greenlane in a pipeline: the doors that no person stands at.

The shape:

1. **One request** (`request.read_asked`): a mapping with an envelope and a subject. The Lambda
   action has it in its UserParameters, the native Step Functions action and events in the input
   of `greenlane-request`. What a deployment is asked for is read by the function that the command
   line uses.
2. **One record for each pipeline execution and subject** (`book`), written before anything is
   begun. Whoever comes later, a continued job, a job delivered twice, a retried stage, finds it and
   follows what was begun. A stage that is retried after a bad end begins the next attempt.
3. **One turn** (`serving.serve`): begin if it is not begun, look, say how it stands. It is safe to
   repeat at any point.
4. **Exactly one result for each job** (`answering`): success, success with a continuation token, or
   failure with a message that says what to do. Trouble with AWS is no failure: the job is continued
   until it passes, for a while.
5. **A stopped pipeline** that abandons its actions is heard as an event (`cancelling`): what it
   began and has not promoted goes back.

The event of a job carries credentials: it is never logged, and no message repeats a value of it
that could be one.
"""
