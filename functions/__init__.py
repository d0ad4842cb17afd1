"""One small module per Lambda function; no logic here."""
