"""What builds, deploys and runs Portcullis: nothing here is shipped."""
